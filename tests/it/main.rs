//! End to end: what a user sees.

mod arrows;
mod check;
