//! The core, tested from outside.

mod planning;
