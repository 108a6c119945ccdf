//! The sandbox's call log, and how a test counts in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// An AWS call that is over.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// When, in the world's time: `2026-11-21T16:00:00Z`.
    pub at: String,
    pub service: String,
    pub operation: String,
    pub account: String,
    pub region: String,
    pub writes: bool,
    pub took_effect: bool,
    pub error: Option<String>,
    pub machines: Vec<String>,
    pub token: Option<String>,
}

impl Call {
    /// `ssm:SendCommand`; one that only asks machines for their boot is `ssm:SendCommand boot`.
    pub fn name(&self) -> String {
        let asks =
            if self.token.as_ref().is_some_and(|token| token.contains(":boot:")) { " boot" } else { "" };
        format!("{}:{}{asks}", self.service, self.operation)
    }
}

/// The call log.
#[derive(Debug)]
pub struct Calls(pub Vec<Call>);

/// How often calls took effect on machines: by operation and machine.
pub type Effects = BTreeMap<(String, String), usize>;

impl Calls {
    fn effects(&self) -> impl Iterator<Item = &Call> {
        self.0.iter().filter(|call| call.took_effect)
    }

    /// How often each operation took effect on each machine. That machines are asked for their boot does nothing.
    pub fn by_machine(&self) -> Effects {
        let mut counts = Effects::new();
        for call in self.effects().filter(|call| !call.name().ends_with(" boot")) {
            for machine in &call.machines {
                *counts.entry((call.name(), machine.clone())).or_default() += 1;
            }
        }
        counts
    }

    /// How many calls there were, by operation.
    pub fn by_operation(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in &self.0 {
            *counts.entry(call.name()).or_default() += 1;
        }
        counts
    }

    /// Effects with one token that took place on one machine more than once: there must be none. Asking for a boot again
    /// is none.
    pub fn doubled(&self) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut doubled = BTreeSet::new();
        let counts = |call: &&Call| call.operation != "CancelCommand" && !call.name().ends_with(" boot");
        for call in self.effects().filter(counts) {
            let Some(token) = &call.token else { continue };
            for machine in &call.machines {
                if !seen.insert((call.name(), token, machine)) {
                    doubled.insert(format!("{} {token} on {machine}", call.name()));
                }
            }
        }
        doubled
    }
}
