//! What the store knows of artifacts, and which runs still need theirs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use runbook_engine::{ids::RunId, target::Home};
use runbook_state::{
    artifact::{ArtifactRow, ArtifactState},
    store::{RunRow, RunStore},
};
use serde::{Deserialize, Serialize};

use crate::coordinator::{holds, refused::Refused};

/// What the store knows of artifacts, at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Books {
    /// The id of the state folder: the tag `runbook:store` of what its runs make.
    pub store: String,
    /// Every run, oldest first.
    pub runs: Vec<RunRow>,
    /// The ledger. A row that is only intended says where the plan has its machine.
    pub rows: Vec<ArtifactRow>,
    /// The stuck runs that left machines which nobody has seen to since.
    stuck: BTreeSet<RunId>,
    /// Where the machines are that runs intended to make something of, several with one call.
    elsewhere: BTreeSet<Home>,
}

/// Why an artifact is still needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Its run is not over.
    Unfinished,
    /// Its run is stuck, and somebody has to see to a machine.
    Stuck,
    /// A run that rolls its run back, or retries it, is not over or stuck.
    Linked(RunId),
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unfinished => f.write_str("its run is not over"),
            Self::Stuck => f.write_str("its run is stuck"),
            Self::Linked(run) => write!(f, "run {run} goes back to it"),
        }
    }
}

impl Books {
    /// Reads them.
    ///
    /// # Errors
    /// The store, or a plan in it, cannot be read.
    pub fn read(store: &dyn RunStore) -> Result<Self, Refused> {
        let runs = store.runs()?;
        let mut rows = store.artifacts(None)?;
        let mut elsewhere = BTreeSet::new();
        let mut homes: BTreeMap<RunId, BTreeMap<_, Home>> = BTreeMap::new();
        for row in rows.iter_mut().filter(|row| row.home.is_none()) {
            if !homes.contains_key(&row.run) {
                let plan = store.plan(&row.run)?;
                let of = plan.targets.iter().map(|(id, target)| (id.clone(), target.home.clone()));
                homes.insert(row.run.clone(), of.collect());
            }
            let machines = &homes[&row.run];
            match &row.target {
                Some(target) => row.home = machines.get(target).cloned(),
                None => elsewhere.extend(machines.values().cloned()),
            }
        }
        Ok(Self { store: store.id().to_owned(), stuck: holds::unseen(store, &runs)?, runs, rows, elsewhere })
    }

    /// Those of a store that is not there.
    pub fn empty() -> Self {
        Self {
            store: String::new(),
            runs: Vec::new(),
            rows: Vec::new(),
            stuck: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
        }
    }

    /// A run's row.
    pub fn run(&self, run: &RunId) -> Option<&RunRow> {
        self.runs.iter().find(|row| row.run == *run)
    }

    /// The world that a run's artifacts are in: the name of a simulated one, or none for the real one.
    pub fn world(&self, run: &RunId) -> Option<&str> {
        self.run(run).and_then(|row| row.world.as_deref())
    }

    /// The rows of one world.
    pub fn rows_in<'a>(&'a self, world: Option<&'a str>) -> impl Iterator<Item = &'a ArtifactRow> {
        self.rows.iter().filter(move |row| self.world(&row.run) == world)
    }

    /// Where artifacts of this world are, as far as the ledger knows.
    pub fn homes(&self, world: Option<&str>) -> BTreeSet<Home> {
        let known = self.rows_in(world).filter_map(|row| row.home.clone());
        known.chain(self.elsewhere.iter().cloned()).filter(|home| matches!(home, Home::Aws { .. })).collect()
    }

    /// The runs whose artifacts are still needed, whatever their expiry says, and why. A run that is not here needs
    /// nothing.
    pub fn needs(&self) -> BTreeMap<RunId, Need> {
        let mut needs = BTreeMap::new();
        for row in self.runs.iter().filter(|row| row.finished_at.is_none() || self.stuck.contains(&row.run)) {
            for before in self.before(row) {
                needs.entry(before).or_insert_with(|| Need::Linked(row.run.clone()));
            }
            let own = if row.finished_at.is_none() { Need::Unfinished } else { Need::Stuck };
            needs.insert(row.run.clone(), own);
        }
        needs
    }

    /// The runs that a run rolls back or retries, directly or through others.
    fn before(&self, row: &RunRow) -> BTreeSet<RunId> {
        let mut before = BTreeSet::new();
        let mut next = row.linked_to.as_ref();
        while let Some(linked) = next.filter(|linked| before.insert((*linked).clone())) {
            next = self.run(linked).and_then(|row| row.linked_to.as_ref());
        }
        before
    }
}

/// Whether the ledger says that this is to be deleted now: it is there, its time is over, and no run needs it.
pub fn is_due(row: &ArtifactRow, needs: &BTreeMap<RunId, Need>, now: Timestamp) -> bool {
    row.state == ArtifactState::Made
        && row.expires.is_some_and(|expires| expires <= now)
        && !needs.contains_key(&row.run)
}
