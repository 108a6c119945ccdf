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
        self.faults(&format!("&operation={operation}")).len()
    }

    /// The most faults that were dealt in any second of its own clock.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn busiest_second(&self) -> usize {
        let times: Vec<f64> = self.faults("").iter().filter_map(|fault| fault["ts"].as_f64()).collect();
        let within = |from: f64| times.iter().filter(|at| **at >= from && **at < from + 1.0).count();
        times.iter().map(|at| within(*at)).max().unwrap_or(0)
    }

    /// All that it remembers, which are 2,000.
    fn faults(&self, of: &str) -> Vec<Value> {
        let path = format!("/_microburst/fired?limit=2000{of}");
        let (_, answer) = self.0.http("GET", &path, "").expect("an answer");
        serde_json::from_str(&answer).expect("the faults")
    }
}
