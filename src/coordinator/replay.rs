//! Runs out of the store.

use std::sync::Arc;

use jiff::Timestamp;
use runbook_engine::{ids::RunId, plan::Plan, run::Run};
use runbook_state::store::{Entry, RunRow, RunStore};

use super::refused::Refused;

/// A run as its journal tells it.
pub(crate) struct Replayed {
    pub run: Run,
    pub plan: Arc<Plan>,
    pub last_at: Timestamp,
    pub seq: u64,
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

/// Reads a run out of the store.
///
/// # Errors
/// The store cannot be read, or what it holds does not fit together.
pub(crate) fn load(store: &dyn RunStore, row: &RunRow) -> Result<Replayed, Refused> {
    let plan = Arc::new(store.plan(&row.run)?);
    let entries = store.entries(&row.run, 1)?;
    let run = replay(&row.run, &plan, &entries)?;
    let (last_at, seq) = entries.last().map_or((row.started_at, 0), |last| (last.at, last.seq));
    Ok(Replayed { run, plan, last_at, seq })
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
