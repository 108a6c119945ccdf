//! The control socket: many clients of the one process that holds a store.

pub(crate) mod asked;
pub mod client;
pub mod experience;
pub mod order;
pub mod peer;
mod place;
mod protocol;
pub(crate) mod server;
pub mod silent;

pub use protocol::accepts;
