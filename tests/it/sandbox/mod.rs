//! The binary against the sandbox, both processes of their own: what is rehearsed is what the SDK sends.
//!
//! The sandbox is another process, so its call log tells what really arrived there, whatever became of the runner.

mod accounts;
pub mod calls;
mod faults;
mod holdings;
mod kills;
mod large;
mod orphans;
pub mod rollout;
pub mod server;
mod shown;
mod worlds;

pub use server::Sandbox;
