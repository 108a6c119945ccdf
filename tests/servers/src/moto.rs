//! moto: EC2, tags, resource groups and STS, with pages.

use std::process::Command;

use crate::{process::Process, program};

/// A running moto.
pub struct Moto(Process);

impl Moto {
    /// Starts one, empty.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        Self(Process::start("moto", |port, _| {
            let mut command = Command::new(program("moto_server"));
            command
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false");
            command
        }))
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    /// What it printed. What it lacks it answers with 500, which a client may hide behind its retries.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
