//! One run per machine: which machines a run changes, and which a stuck one left so.

use std::collections::BTreeSet;

use runbook_engine::{
    ids::{RunId, TargetId},
    outcome::TargetOutcome,
    plan::Plan,
    run::{Run, Status, event::RunEnd},
};
use runbook_state::store::{Resolution, RunRow, RunStore};

use super::refused::Refused;

/// The machines that a plan may change.
pub(super) fn changed_by(plan: &Plan) -> Vec<TargetId> {
    let changed: BTreeSet<_> = plan
        .tasks
        .iter()
        .filter(|task| task.effect.may_change() && task.skip.is_none())
        .filter_map(|task| task.targets.as_deref())
        .flatten()
        .collect();
    changed.into_iter().cloned().collect()
}

/// The machines that a finished run left so that a person must look: none, unless it is stuck.
pub(super) fn left_by(run: &Run) -> Vec<TargetId> {
    if run.status() != Status::Ended(RunEnd::Stuck) {
        return Vec::new();
    }
    let changed: BTreeSet<_> = changed_by(run.plan()).into_iter().collect();
    let left = |outcome| {
        use TargetOutcome::{Excluded, NotStarted, Pending, Restored, Succeeded};
        !matches!(outcome, Succeeded | Restored | NotStarted | Excluded | Pending)
    };
    let targets = run.targets().into_iter().filter(|view| changed.contains(view.id) && left(view.outcome));
    targets.map(|view| view.id.clone()).collect()
}

/// Refuses a plan that would change a machine of an unfinished run, or one that a stuck run left so, unless it is that
/// run's retry or rollback, a retry or rollback has since ended well for the machine, or a person has recorded its
/// state.
///
/// # Errors
/// [`Refused::Held`], or the store cannot be read.
pub(super) fn check(store: &dyn RunStore, plan: &Plan) -> Result<(), Refused> {
    let wanted = changed_by(plan);
    if wanted.is_empty() {
        return Ok(());
    }
    let rows = store.runs()?;
    let resolutions = store.resolutions()?;
    let family = family(&rows, plan);
    for row in rows.iter().filter(|row| !row.holds.is_empty()) {
        if family.contains(&row.run) {
            continue;
        }
        let held: BTreeSet<_> = row.holds.iter().collect();
        let stuck = row.finished_at.is_some();
        for target in wanted.iter().filter(|id| held.contains(id)) {
            if stuck && (resolved(&resolutions, row, target) || mended(store, &rows, row, target)?) {
                continue;
            }
            return Err(Refused::Held { target: target.clone(), run: row.run.clone(), stuck });
        }
    }
    Ok(())
}

/// The stuck runs that left machines which no retry or rollback has mended, and no person has seen to since.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn unseen(store: &dyn RunStore, rows: &[RunRow]) -> Result<BTreeSet<RunId>, Refused> {
    let resolutions = store.resolutions()?;
    let mut unseen = BTreeSet::new();
    for row in rows.iter().filter(|row| row.finished_at.is_some()) {
        for target in &row.holds {
            if !resolved(&resolutions, row, target) && !mended(store, rows, row, target)? {
                unseen.insert(row.run.clone());
                break;
            }
        }
    }
    Ok(unseen)
}

/// The runs that a plan rolls back or retries: the one that it names, the one that this one named, and so on.
fn family(rows: &[RunRow], plan: &Plan) -> BTreeSet<RunId> {
    let mut family = BTreeSet::new();
    let mut next = plan.link.as_ref().map(|link| link.run.clone());
    while let Some(run) = next {
        next = rows.iter().find(|row| row.run == run).and_then(|row| row.linked_to.clone());
        if !family.insert(run) {
            break;
        }
    }
    family
}

fn resolved(resolutions: &[Resolution], row: &RunRow, target: &TargetId) -> bool {
    resolutions.iter().any(|resolution| resolution.run == row.run && resolution.target == *target)
}

/// Whether a later run that is linked to a stuck one ended well for this machine.
fn mended(store: &dyn RunStore, rows: &[RunRow], stuck: &RunRow, target: &TargetId) -> Result<bool, Refused> {
    let later = rows.iter().filter(|row| {
        row.linked_to.as_ref() == Some(&stuck.run)
            && matches!(row.status.as_str(), "succeeded" | "restored")
            && !row.holds.contains(target)
    });
    for row in later {
        if changed_by(&store.plan(&row.run)?).contains(target) {
            return Ok(true);
        }
    }
    Ok(false)
}
