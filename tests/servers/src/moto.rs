//! moto: EC2, tags, resource groups and STS, with pages.

use std::process::Command;

use crate::{folder, process::Process, program};

/// A running moto.
pub struct Moto(Process);

impl Moto {
    /// Starts one, empty.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        Self(Process::start("moto", |port, _| {
            let mut command = Command::new(program("python"));
            command
                .arg(folder().join("moto_as_sent.py"))
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false");
            command
        }))
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    /// From now on who calls must be a user with valid keys, and have the right to.
    ///
    /// # Panics
    /// When it refuses.
    pub fn enforce_rights(&self) {
        self.trust_so_many("0");
    }

    /// From now on everybody may do everything.
    ///
    /// # Panics
    /// When it refuses.
    pub fn trust_everybody(&self) {
        self.trust_so_many("inf");
    }

    fn trust_so_many(&self, calls: &str) {
        let (status, answer) = self.0.http("POST", "/moto-api/reset-auth", calls).expect("an answer");
        assert_eq!(status, 200, "{answer}");
    }

    /// What it printed. What it lacks it answers with 500, which a client may hide behind its retries.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
