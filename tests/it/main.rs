//! End to end: what a user sees.

mod arrows;
mod check;
mod command_line;
mod deploy_local;
mod json_shapes;
mod program;
mod reference;
