//! What the finished runs of a state folder tell of how long actions take.

use jiff::Timestamp;
use runbook_engine::{
    experience::{Collector, Experience},
    plan::Plan,
    run::event::Event,
};
use runbook_state::store::{RunRow, RunStore};

use super::client::{self, Reached};
use crate::coordinator::{refused::Refused, session::Setup};

/// How many runs are read: the newest. What took how long years ago says little of tonight.
pub const MOST_RUNS: usize = 20;

/// How many entries of one run are read, from its first on: a run over ten thousand machines tells enough by then.
pub const MOST_ENTRIES: u64 = 10_000;

/// How many entries of all of them: about a second of reading.
pub const MOST_ENTRIES_OF_ALL: u64 = 50_000;

/// How many entries of a store of one's own are in memory at a time.
const AT_ONCE: u64 = 1_000;

/// What the newest finished runs in this world tell (its name; none: the real one). Where there is no state folder, or
/// no finished run in it, nothing is known. A run that cannot be read tells nothing.
///
/// # Errors
/// The store cannot be read, or its holder does not answer.
pub fn experience(setup: &Setup, world: Option<&str>) -> Result<Experience, Refused> {
    let mut reader = Reader { collector: Collector::default(), left: MOST_ENTRIES_OF_ALL };
    match client::reach(setup) {
        Err(Refused::NoRuns { .. }) => return Ok(Experience::default()),
        Err(refused) => return Err(refused),
        Ok(Reached::Store(store)) => {
            for row in newest(store.runs()?, world) {
                reader.of_store(&store, &row);
            }
        }
        Ok(Reached::Holder(holder)) => {
            drop(holder);
            for row in newest(client::runs(setup)?, world) {
                reader.of_holder(setup, &row)?;
            }
        }
    }
    Ok(reader.collector.experience())
}

/// The runs that are read, newest first.
fn newest(rows: Vec<RunRow>, world: Option<&str>) -> impl Iterator<Item = RunRow> {
    let world = world.map(str::to_owned);
    let finished = move |row: &RunRow| row.finished_at.is_some() && row.world == world;
    rows.into_iter().rev().filter(finished).take(MOST_RUNS)
}

struct Reader {
    collector: Collector,
    /// How many entries may still be read.
    left: u64,
}

impl Reader {
    fn of_store(&mut self, store: &dyn RunStore, row: &RunRow) {
        let most = self.left.min(MOST_ENTRIES);
        let plan = match store.plan(&row.run) {
            Ok(plan) if most > 0 => plan,
            Ok(_) => return,
            Err(error) => return silent(row, &error),
        };
        let mut hearing = self.collector.journal(&plan);
        let mut read = 0;
        while read < most {
            let wanted = AT_ONCE.min(most - read);
            let entries = match store.some(&row.run, read + 1, wanted as usize) {
                Ok(entries) => entries,
                Err(error) => {
                    silent(row, &error);
                    break;
                }
            };
            entries.iter().for_each(|entry| hearing.hear(entry.at, &entry.event));
            read += entries.len() as u64;
            if (entries.len() as u64) < wanted {
                break;
            }
        }
        self.left -= read;
    }

    /// Through the process that holds the store. Its answer is not read further than needed.
    fn of_holder(&mut self, setup: &Setup, row: &RunRow) -> Result<(), Refused> {
        let most = self.left.min(MOST_ENTRIES) as usize;
        if most == 0 {
            return Ok(());
        }
        let mut heard: Vec<(Timestamp, Event)> = Vec::new();
        let mut plan: Option<std::sync::Arc<Plan>> = None;
        let listened = client::journal(setup, Some(row.run.as_str()), &mut |found, entry| {
            plan.get_or_insert_with(|| std::sync::Arc::clone(&found.plan));
            heard.push((entry.at, entry.event.clone()));
            if heard.len() < most { Ok(()) } else { Err(Refused::Stopping) }
        });
        if let Err(refused) = listened.map(drop)
            && heard.len() < most
        {
            // Somebody else may read the list of runs, and not this journal.
            return match refused {
                Refused::NoAnswer { .. } => Err(refused),
                refused => {
                    silent(row, &refused);
                    Ok(())
                }
            };
        }
        self.left -= heard.len() as u64;
        if let Some(plan) = &plan {
            let mut hearing = self.collector.journal(plan);
            heard.iter().for_each(|(at, event)| hearing.hear(*at, event));
        }
        Ok(())
    }
}

fn silent(row: &RunRow, why: &dyn std::error::Error) {
    tracing::warn!(run = %row.run, %why, "the run tells nothing of how long things take");
}
