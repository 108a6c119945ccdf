//! What is found and collected.

mod examples;
mod laws;
mod scene;
mod shelf;
