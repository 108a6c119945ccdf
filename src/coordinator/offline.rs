//! What people tell a run that nobody advances: the fact is checked against the run, appended, and waits for `resume`.

use jiff::Timestamp;
use runbook_engine::run::Status;
use runbook_state::store::{Resolution, RunRow, RunStore};

use super::{mask::Mask, orders, refused::Refused, replay};
use crate::control::{
    order::{Order, Told},
    peer::Person,
};

/// Appends what an order becomes. `owner` is whether the person owns the store.
///
/// # Errors
/// The person may not, it makes no sense now, or the store fails.
pub(crate) fn tell(
    store: &mut dyn RunStore,
    row: &RunRow,
    order: &Order,
    by: &Person,
    owner: bool,
    mask: &Mask,
) -> Result<Told, Refused> {
    let id = &row.run;
    let mut replayed = replay::load(store, row)?;
    if replayed.run.finished_at().is_some() {
        return after_the_end(store, row, order, by, owner, mask);
    }
    let (mut event, told) = orders::fact(&replayed.run, id, order, by, owner)?;
    mask.event(&mut event);
    // A simulated world's time stands still while nobody runs in it; else the journal's time must not go back.
    let at = match row.world {
        Some(_) => replayed.last_at,
        None => Timestamp::now().max(replayed.last_at),
    };
    replayed.run.apply(at, &event).map_err(|illegal| Refused::NotNow {
        why: illegal.to_string(),
        hint: Some(format!("runbook show {id}")),
    })?;
    let mut changed = row.clone();
    if matches!(replayed.run.status(), Status::Paused) {
        changed.status = Status::Paused.as_str().to_owned();
    } else if row.status == Status::Paused.as_str() {
        changed.status = Status::Interrupted.as_str().to_owned();
    }
    store.append(id, at, &[event], (changed != *row).then_some(&changed))?;
    store.seal()?;
    Ok(Told { next: Some(format!("runbook resume {id}")), ..told })
}

/// A finished journal never reopens: what a person saw on a machine of a stuck run is kept beside it.
fn after_the_end(
    store: &mut dyn RunStore,
    row: &RunRow,
    order: &Order,
    by: &Person,
    owner: bool,
    mask: &Mask,
) -> Result<Told, Refused> {
    let id = &row.run;
    let Order::Resolve { target: Some(target), note, .. } = order else {
        return Err(Refused::NotNow {
            why: format!("run {id} is over: it {}", row.status),
            hint: Some(format!("runbook show {id}")),
        });
    };
    if !owner {
        let why = "the run belongs to somebody else".to_owned();
        return Err(Refused::NotAllowed { user: by.name.clone(), what: order.verb(), why });
    }
    let plan = store.plan(id)?;
    let mut named =
        plan.targets.values().filter(|each| each.name == target.as_str() && row.holds.contains(&each.id));
    let target = match (named.next(), named.next()) {
        (Some(only), None) => &only.id,
        _ => target,
    };
    if !row.holds.contains(target) {
        return Err(Refused::NotNow {
            why: format!("run {id} left nothing to be resolved on `{target}`"),
            hint: Some(format!("runbook show {id}")),
        });
    }
    let mut note = note.clone();
    if let Some(note) = &mut note {
        mask.text(note);
    }
    let at = Timestamp::now();
    store.resolve(&Resolution { run: id.clone(), target: target.clone(), at, by: by.name.clone(), note })?;
    store.seal()?;
    let message = format!("recorded the state of {target}: other runs may change it again");
    Ok(Told { run: id.clone(), message, next: None })
}
