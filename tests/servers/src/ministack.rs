//! ministack: an AWS whose Run Command really runs scripts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{folder, process::Process, program};

/// A running ministack. A machine of it is a folder, and its scripts are processes here, with `INSTANCE_ID` and
/// `COUNTERS` (a folder of the test's) in their environment.
pub struct Ministack(Process);

impl Ministack {
    /// Starts one, empty.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        Self(Process::start("ministack", |port, own| {
            fs::create_dir_all(own.join("counters")).expect("a folder for counters");
            let mut command = Command::new(program("ministack"));
            command
                .env("GATEWAY_PORT", port.to_string())
                .env("BIND_HOST", "127.0.0.1")
                // Else it listens on a second port, on all interfaces.
                .env("IOT_MTLS_ENABLED", "0")
                .env("PYTHONPATH", folder().join("standin"))
                .env("BOXES", own.join("boxes"))
                .env("COUNTERS", own.join("counters"))
                .env("RUNBOOK_GUARD_ROOT", own.join("guard"))
                .env_remove("INSTANCE_ID")
                .env_remove("AWS_SSM_INSTANCE_ID");
            command
        }))
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    /// The folder that scripts know as `$COUNTERS`.
    pub fn counters(&self) -> PathBuf {
        self.0.folder().join("counters")
    }

    /// How many lines scripts wrote to this file of `$COUNTERS`.
    pub fn count(&self, file: impl AsRef<Path>) -> usize {
        fs::read_to_string(self.counters().join(file)).map_or(0, |text| text.lines().count())
    }

    /// What it printed.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
