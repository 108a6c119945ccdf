//! Twelve machines on an EC2 server that only pretends to have some, and what runs on them.

use std::{collections::BTreeMap, process::Command};

use serde::Deserialize;

use crate::{Keys, folder, process::Process, program, python};

/// A machine of it, with the volumes that it began with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EstateMachine {
    /// Its instance id.
    pub id: String,
    /// Its root volume: 8 GiB, deleted with the machine.
    pub root: String,
    /// Its data volume: 20 GiB, kept when the machine goes.
    pub data: String,
}

/// Starts four machines in each of the environments `dev`, `staging` and `production`; by name, `dev-1` first.
///
/// # Panics
/// When the server refuses.
pub fn start_estate(endpoint: &str) -> BTreeMap<String, EstateMachine> {
    let arguments = [folder().join("estate.py").display().to_string()];
    serde_json::from_value(python(endpoint, &Keys::default(), &arguments, "")).expect("the machines")
}

/// What runs on the machines: they take a change, and say how they are.
pub struct Machines(Process);

impl Machines {
    /// Starts it; `spoiled` are the names of the machines on which the change goes wrong.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(endpoint: &str, keys: &Keys, spoiled: &[&str]) -> Self {
        Self(Process::start("machines.py", |port, _| {
            let mut command = Command::new(program("python"));
            command.arg(folder().join("machines.py")).arg(port.to_string()).args(spoiled);
            command.envs(keys.environment(endpoint));
            command
        }))
    }

    /// Where they answer: `POST …/ID` is the change, `GET …/ID` says how the machine is.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }
}
