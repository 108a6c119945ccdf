//! What is found and collected.

mod examples;
mod laws;
mod runs;
mod scene;
mod shelf;
