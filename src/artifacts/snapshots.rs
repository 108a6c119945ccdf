//! How the snapshots of hosts are deleted: the ledger knows that they are there, the journals of their runs how they were
//! made.

use std::collections::{BTreeMap, BTreeSet};

use runbook_engine::{ids::RunId, run::event::Event};
use runbook_state::{error::StoreError, store::RunStore};
use runbook_steps::{actions::linux::backup, ports::linux::Revert};

/// What deletes each, by run and token.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    read: BTreeSet<RunId>,
    known: BTreeMap<RunId, BTreeMap<String, Revert>>,
}

impl Snapshots {
    /// Reads the journals of these runs, each once.
    pub(super) fn read<'a>(
        &mut self,
        store: &dyn RunStore,
        runs: impl Iterator<Item = &'a RunId>,
    ) -> Result<(), StoreError> {
        for run in runs {
            if !self.read.insert(run.clone()) {
                continue;
            }
            let known = self.known.entry(run.clone()).or_default();
            store.each(run, 1, &mut |entry| {
                let found: Vec<Revert> = match &entry.event {
                    Event::CheckpointRecorded { value, .. } => {
                        backup::about_to_make(value).into_iter().collect()
                    }
                    // Later, and with what the host told of it; older versions write nothing else.
                    Event::OutputsRecorded { outputs, .. } => {
                        outputs.values().filter_map(backup::has_made).collect()
                    }
                    _ => return,
                };
                known.extend(found.into_iter().map(|snapshot| (snapshot.token.clone(), snapshot)));
            })?;
        }
        Ok(())
    }

    /// What deletes this one, where the journal says so.
    pub(super) fn of(&self, run: &RunId, token: &str) -> Option<&Revert> {
        self.known.get(run)?.get(token)
    }
}
