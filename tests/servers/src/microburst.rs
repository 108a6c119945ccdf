//! microburst: faults on the wire between a client and another server.

use std::process::Command;

use serde_json::Value;

use crate::{process::Process, program};

/// A running microburst in front of another server.
pub struct Microburst(Process);

impl Microburst {
    /// Starts one that passes everything on to `upstream`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(upstream: &str) -> Self {
        Self(Process::start("microburst", |port, _| {
            let mut command = Command::new(program("microburst"));
            command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--upstream", upstream]);
            command
        }))
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    /// Puts these rules in place of the ones that hold.
    ///
    /// # Panics
    /// When it refuses them.
    pub fn rules(&self, rules: &Value) {
        let (status, answer) =
            self.0.http("POST", "/_microburst/rules", &rules.to_string()).expect("an answer");
        assert_eq!(status, 200, "{answer}");
    }

    /// How many faults were dealt to this operation.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn fired(&self, operation: &str) -> usize {
        let path = format!("/_microburst/fired?operation={operation}");
        let (_, answer) = self.0.http("GET", &path, "").expect("an answer");
        serde_json::from_str::<Value>(&answer)
            .ok()
            .and_then(|events| events.as_array().map(Vec::len))
            .unwrap_or(0)
    }
}
