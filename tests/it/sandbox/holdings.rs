//! What the sandbox holds that costs money, as boto3 finds it, and whose it is by what it was made of: our tags are not
//! looked at.

use std::collections::{BTreeMap, BTreeSet};

use runbook_test_servers::script;
use serde::Deserialize;

use super::server::Sandbox;
use crate::program::root;

/// One thing.
#[derive(Clone, Debug, Deserialize)]
pub struct Holding {
    pub kind: String,
    pub id: String,
    /// What a snapshot is of.
    volume: Option<String>,
    /// What a volume or an image is made from.
    snapshot: Option<String>,
    /// What a volume is attached to, or a recovery point is of.
    instance: Option<String>,
    /// Whose a machine is.
    seat: Option<String>,
}

impl Holding {
    /// A machine, or used by one.
    fn is_in_use(&self) -> bool {
        self.kind == "machine" || self.kind == "volume" && self.instance.is_some()
    }
}

/// Everything that lies there.
#[derive(Debug)]
pub struct Holdings(BTreeMap<String, Holding>);

impl Holdings {
    /// Asks the sandbox.
    #[track_caller]
    pub fn of(sandbox: &Sandbox) -> Self {
        let file = root().join("tests/sandbox/holdings.py");
        let printed = script(&file, &[("SANDBOX", &sandbox.url()), ("REGION", "eu-central-1")]);
        let list: Vec<Holding> =
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        Self(list.into_iter().map(|holding| (holding.id.clone(), holding)).collect())
    }

    /// What no machine uses.
    pub fn idle(&self) -> BTreeSet<String> {
        self.0.values().filter(|holding| !holding.is_in_use()).map(|holding| holding.id.clone()).collect()
    }

    /// Whose this is, by the machine that it was made of: `before` knows which volumes the machines had when nothing had
    /// been done.
    #[track_caller]
    pub fn seat(&self, before: &Self, id: &str) -> &str {
        let mut id = id;
        // A snapshot of a volume that was made from a snapshot, and so on to the first volume.
        loop {
            let instance = before.0.get(id).and_then(|volume| volume.instance.as_ref());
            let holding = self.0.get(id).unwrap_or_else(|| panic!("{id} is not there"));
            if let Some(instance) = instance.or(holding.instance.as_ref()) {
                return self.0[instance].seat.as_deref().expect("machines have seats");
            }
            let of = holding.volume.as_ref().or(holding.snapshot.as_ref());
            id = of.unwrap_or_else(|| panic!("{holding:?} is of nothing"));
        }
    }

    /// Of which kinds these are, for a message.
    pub fn kinds(&self, ids: &BTreeSet<String>) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for holding in ids.iter().filter_map(|id| self.0.get(id)) {
            *kinds.entry(holding.kind.as_str()).or_default() += 1;
        }
        kinds
    }
}
