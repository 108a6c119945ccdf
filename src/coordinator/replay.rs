//! Runs out of the store.

use std::sync::Arc;

use jiff::Timestamp;
use runbook_engine::{ids::RunId, plan::Plan, run::Run};
use runbook_state::store::{Entry, KeptState, RunRow, RunStore};

use super::refused::Refused;

/// A run as its journal tells it.
#[derive(Debug)]
pub struct Replayed {
    /// How it stands.
    pub run: Run,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// The time of its last entry.
    pub last_at: Timestamp,
    /// The number of that entry.
    pub seq: u64,
    /// The entry behind which its state was kept; 0: none was.
    pub kept: u64,
}

impl Replayed {
    /// A run before its first entry.
    fn at_the_beginning(row: &RunRow, plan: &Arc<Plan>) -> Result<Self, Refused> {
        let run = replay(&row.run, plan, &[])?;
        Ok(Self { run, plan: Arc::clone(plan), last_at: row.started_at, seq: 0, kept: 0 })
    }

    /// A run as its state was kept, if this build understands it.
    fn as_kept(kept: KeptState, row: &RunRow, plan: &Arc<Plan>) -> Option<Self> {
        let KeptState { seq, at, state } = kept;
        match Run::restored(Arc::clone(plan), &state) {
            Ok(run) if run.id() != Some(&row.run) => None,
            Ok(run) => Some(Self { run, plan: Arc::clone(plan), last_at: at, seq, kept: seq }),
            Err(why) => {
                tracing::info!(run = %row.run, %why, "the whole journal is replayed");
                None
            }
        }
    }

    /// Applies the entries that follow.
    fn go_on(&mut self, store: &dyn RunStore, id: &RunId) -> Result<(), Refused> {
        let mut refused = None;
        store.each(id, self.seq + 1, &mut |entry| {
            if refused.is_none() {
                refused = self.entry(&entry, id).err();
            }
        })?;
        refused.map_or(Ok(()), Err)
    }

    /// Applies the next entry.
    fn entry(&mut self, entry: &Entry, id: &RunId) -> Result<(), Refused> {
        self.run.apply(entry.at, &entry.event).map_err(|illegal| Refused::DamagedJournal {
            run: id.clone(),
            seq: entry.seq,
            why: illegal.to_string(),
        })?;
        (self.last_at, self.seq) = (entry.at, entry.seq);
        Ok(())
    }
}

/// What it takes to know how a run stands when the store is let go again: whoever only reads holds it no longer than that.
#[derive(Debug)]
pub struct Copied {
    row: RunRow,
    plan: Arc<Plan>,
    kept: Option<KeptState>,
    /// Those behind the state that was kept; all, where none was.
    entries: Vec<Entry>,
}

impl Copied {
    /// Copies it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of(store: &dyn RunStore, row: &RunRow) -> Result<Self, Refused> {
        let plan = Arc::new(store.plan(&row.run)?);
        let kept = store.kept_state(&row.run)?;
        let entries = store.entries(&row.run, kept.as_ref().map_or(1, |kept| kept.seq + 1))?;
        Ok(Self { row: row.clone(), plan, kept, entries })
    }

    /// The run; none where the state that was kept is not of this build or does not fit, so that it takes the whole journal.
    ///
    /// # Errors
    /// The plan is damaged, or an entry does not fit.
    pub fn replayed(self) -> Result<Option<Replayed>, Refused> {
        let Self { row, plan, kept, entries } = self;
        let is_whole = kept.is_none();
        let begun = match kept {
            Some(kept) => Replayed::as_kept(kept, &row, &plan),
            None => Some(Replayed::at_the_beginning(&row, &plan)?),
        };
        let Some(mut replayed) = begun else { return Ok(None) };
        match entries.iter().try_for_each(|entry| replayed.entry(entry, &row.run)) {
            Err(Refused::DamagedJournal { .. }) if !is_whole => Ok(None),
            done => done.map(|()| Some(replayed)),
        }
    }
}

/// Applies a journal, entry by entry.
///
/// # Errors
/// The plan is damaged, or an entry does not fit.
pub fn replay(id: &RunId, plan: &Arc<Plan>, entries: &[Entry]) -> Result<Run, Refused> {
    let mut run =
        Run::new(Arc::clone(plan)).map_err(|damaged| Refused::DamagedPlan { why: damaged.to_string() })?;
    for entry in entries {
        run.apply(entry.at, &entry.event).map_err(|illegal| Refused::DamagedJournal {
            run: id.clone(),
            seq: entry.seq,
            why: illegal.to_string(),
        })?;
    }
    Ok(run)
}

/// Reads a run out of the store: what follows the state that was kept of it, else all of its journal.
///
/// # Errors
/// The store cannot be read, or what it holds does not fit together.
pub fn load(store: &dyn RunStore, row: &RunRow) -> Result<Replayed, Refused> {
    let plan = Arc::new(store.plan(&row.run)?);
    let kept = store.kept_state(&row.run)?;
    if let Some(mut replayed) = kept.and_then(|kept| Replayed::as_kept(kept, row, &plan)) {
        match replayed.go_on(store, &row.run) {
            // The state is a cache: the journal has the last word.
            Err(Refused::DamagedJournal { .. }) => {
                tracing::warn!(run = %row.run, "the state that was kept does not fit the journal, which is replayed");
            }
            done => return done.map(|()| replayed),
        }
    }
    let mut replayed = Replayed::at_the_beginning(row, &plan)?;
    replayed.go_on(store, &row.run)?;
    Ok(replayed)
}

/// The run that is meant: by id or unique prefix; without one the only unfinished run, else the newest.
///
/// # Errors
/// None, or more than one.
pub fn select<'a>(
    rows: &'a [RunRow],
    wanted: Option<&str>,
    state: &std::path::Path,
) -> Result<&'a RunRow, Refused> {
    let Some(wanted) = wanted else {
        let unfinished: Vec<_> = rows.iter().filter(|row| row.finished_at.is_none()).collect();
        return match unfinished.as_slice() {
            [only] => Ok(only),
            _ => rows.last().ok_or_else(|| Refused::NoRuns { state: state.to_owned() }),
        };
    };
    if let Some(exact) = rows.iter().find(|row| row.run.as_str() == wanted) {
        return Ok(exact);
    }
    let matching: Vec<_> =
        rows.iter().filter(|row| !wanted.is_empty() && row.run.as_str().starts_with(wanted)).collect();
    match matching.as_slice() {
        [only] => Ok(only),
        [] => Err(Refused::UnknownRun { run: wanted.to_owned() }),
        many => Err(Refused::ManyRuns {
            run: wanted.to_owned(),
            runs: many.iter().map(|row| row.run.to_string()).collect(),
        }),
    }
}
