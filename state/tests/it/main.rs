//! The store's tests.

mod contract;
mod sample;
