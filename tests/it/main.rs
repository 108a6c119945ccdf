//! End to end: what a user sees.

mod check;
