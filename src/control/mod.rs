//! The control socket: many clients of the one process that holds a store.

pub mod order;
