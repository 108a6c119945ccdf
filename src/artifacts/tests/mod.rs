//! What is found and collected.

mod examples;
mod hosts;
mod laws;
mod runs;
mod scene;
mod shelf;
