//! The tests of the bench.

mod callgrind;
mod counts;
