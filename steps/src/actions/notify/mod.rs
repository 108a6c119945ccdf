//! Actions that tell people and other systems.

pub mod webhook;
