//! What people tell a run: who may, and which fact it becomes.

use runbook_engine::{
    ids::{RunId, TargetId, TaskName},
    plan::{Gate, Work},
    run::{Run, event::Event},
};

use super::refused::Refused;
use crate::control::{
    order::{Order, Told},
    peer::Person,
};

impl Order {
    /// The verb, for messages.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
            Self::Pause { .. } => "pause",
            Self::Unpause => "unpause",
            Self::Exclude { .. } => "exclude",
            Self::Cancel { .. } => "cancel",
            Self::Resolve { .. } => "resolve",
        }
    }
}

/// The fact that an order becomes, and what to say when it is durable. `owner` is whether the person owns the store.
///
/// # Errors
/// The person may not, or it makes no sense now.
pub(crate) fn fact(
    run: &Run,
    id: &RunId,
    order: &Order,
    by: &Person,
    owner: bool,
) -> Result<(Event, Told), Refused> {
    let person = by.name.clone();
    if !owner && !matches!(order, Order::Approve { .. } | Order::Reject { .. }) {
        return Err(Refused::NotAllowed {
            user: person,
            what: order.verb(),
            why: "the run belongs to somebody else".to_owned(),
        });
    }
    let (event, message) = match order {
        Order::Approve { task, note } => {
            let task = gate(run, id, task.as_ref(), "approve")?;
            let role = role(run, &task, by, owner, order)?;
            evidence(run, id, &task, note.as_deref())?;
            let message = format!("approved `{task}` as {role}");
            (Event::ApprovalGiven { task, by: person, role, note: note.clone() }, message)
        }
        Order::Reject { task, note } => {
            let task = gate(run, id, task.as_ref(), "reject")?;
            role(run, &task, by, owner, order)?;
            let message = format!("rejected `{task}`");
            (Event::ApprovalRejected { task, by: person, note: note.clone() }, message)
        }
        Order::Pause { cause } => {
            let message = "paused: no new task or wave starts; failure branches go on".to_owned();
            (Event::RunPaused { by: person, gate: None, cause: cause.clone() }, message)
        }
        Order::Unpause => (Event::RunUnpaused { by: person }, "goes on".to_owned()),
        Order::Exclude { targets, because } => {
            let targets =
                &targets.iter().map(|target| machine(run, id, target)).collect::<Result<Vec<_>, _>>()?;
            for target in targets {
                run.may_exclude(target).map_err(|why| Refused::NotNow {
                    why: format!("`{target}` cannot be excluded: {why}"),
                    hint: Some(format!("runbook cancel {id} --restore")),
                })?;
            }
            let message = format!("excluded {}", list(targets));
            (
                Event::TargetsExcluded { targets: targets.clone(), by: person, because: because.clone() },
                message,
            )
        }
        Order::Cancel { restore, cause } => {
            let what = if *restore { "what was changed is restored" } else { "what was changed is left" };
            let message = format!("cancelled: {what}; a change in flight ends first");
            (Event::CancelRequested { restore: *restore, by: person, cause: cause.clone() }, message)
        }
        Order::Resolve { task, target, applied, note } => {
            let target = &target.as_ref().map(|target| machine(run, id, target)).transpose()?;
            let task = unknown(run, id, task.as_ref(), target.as_ref())?;
            let Some(applied) = *applied else {
                return Err(Refused::NotNow {
                    why: "it is not said whether the effect was applied".to_owned(),
                    hint: Some(format!("runbook resolve {id} --task {task} --applied (or --not-applied)")),
                });
            };
            let what = target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
            let message =
                format!("recorded that `{task}` was {}applied{what}", if applied { "" } else { "not " });
            (
                Event::TargetResolved {
                    task,
                    target: target.clone(),
                    applied,
                    by: person,
                    note: note.clone(),
                },
                message,
            )
        }
    };
    Ok((event, Told { run: id.clone(), message, next: None }))
}

fn list(targets: &[TargetId]) -> String {
    targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join(", ")
}

fn role(run: &Run, task: &TaskName, by: &Person, owner: bool, order: &Order) -> Result<String, Refused> {
    let refused = |why: String| Refused::NotAllowed { user: by.name.clone(), what: order.verb(), why };
    // What is done by hand is confirmed by whoever owns the run: such a gate names nobody else.
    if !owner && !named_by(run, task) {
        return Err(refused(format!(
            "`{task}` is not a gate that others than the owner of the run may answer"
        )));
    }
    if !run.open_gates().iter().any(|open| open.name == *task) {
        let (why, id) = (format!("gate `{task}` is not open"), run.id().map(ToString::to_string));
        return Err(Refused::NotNow { why, hint: id.map(|id| format!("runbook show {id}")) });
    }
    let allowed = match order {
        Order::Reject { .. } => run.may_reject(task, &by.name, &by.groups),
        _ => run.may_approve(task, &by.name, &by.groups),
    };
    allowed.map_err(refused)
}

/// A gate that asks for evidence is not confirmed without.
fn evidence(run: &Run, id: &RunId, task: &TaskName, note: Option<&str>) -> Result<(), Refused> {
    let asked =
        run.open_gates().into_iter().find(|open| open.name == *task).and_then(|open| match &open.work {
            Work::Gate(Gate::Manual { evidence, .. }) => evidence.clone(),
            Work::Gate(_) | Work::Action(_) => None,
        });
    match asked {
        Some(asked) if note.is_none_or(|note| note.trim().is_empty()) => Err(Refused::NotNow {
            why: format!("`{task}` asks for evidence: {asked}"),
            hint: Some(format!("runbook approve {id} --task {task} --note TEXT")),
        }),
        _ => Ok(()),
    }
}

/// Whether a gate names its approvers.
fn named_by(run: &Run, task: &TaskName) -> bool {
    run.open_gates()
        .iter()
        .any(|open| open.name == *task && matches!(open.work, Work::Gate(Gate::Approval { .. })))
}

/// The open gates that wait for people.
pub(crate) fn gates_of_people(run: &Run) -> Vec<TaskName> {
    let open = run.open_gates().into_iter();
    open.filter(|task| matches!(task.work, Work::Gate(Gate::Approval { .. } | Gate::Manual { .. })))
        .map(|task| task.name.clone())
        .collect()
}

/// Whether an open gate waits for this person, who does not own the run, among others.
pub(crate) fn is_asked(run: &Run, person: &Person) -> bool {
    // Who has approved already may go on reading.
    let named = |entry: &String| match entry.strip_prefix("group:") {
        Some(group) => person.groups.iter().any(|own| own == group),
        None => *entry == person.name,
    };
    run.open_gates().iter().any(|open| match &open.work {
        Work::Gate(Gate::Approval { approvers, .. }) => approvers.iter().any(named),
        Work::Gate(_) | Work::Action(_) => false,
    })
}

/// The gate that is meant: as named, or the only open one.
fn gate(run: &Run, id: &RunId, named: Option<&TaskName>, verb: &str) -> Result<TaskName, Refused> {
    if let Some(task) = named {
        return Ok(task.clone());
    }
    let open = gates_of_people(run);
    match open.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Refused::NotNow {
            why: format!("no gate of run {id} waits for a person"),
            hint: Some(format!("runbook show {id}")),
        }),
        [first, ..] => Err(Refused::NotNow {
            why: format!("more than one gate waits: {}", names(&open)),
            hint: Some(format!("runbook {verb} {id} --task {first}")),
        }),
    }
}

/// The machine that is meant: by its id, or by a name that only one has.
fn machine(run: &Run, id: &RunId, meant: &TargetId) -> Result<TargetId, Refused> {
    let targets = &run.plan().targets;
    if targets.contains_key(meant) {
        return Ok(meant.clone());
    }
    let mut named = targets.values().filter(|target| target.name == meant.as_str());
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(only.id.clone()),
        (found, _) => Err(Refused::NotNow {
            why: match found {
                Some(_) => format!("more than one machine of run {id} is called `{meant}`: give its id"),
                None => format!("run {id} has no machine `{meant}`"),
            },
            hint: Some(format!("runbook show {id}")),
        }),
    }
}

/// The task whose outcome is meant: as named, or the only one that is unknown (on this machine).
fn unknown(
    run: &Run,
    id: &RunId,
    named: Option<&TaskName>,
    target: Option<&TargetId>,
) -> Result<TaskName, Refused> {
    if let Some(task) = named {
        return Ok(task.clone());
    }
    let mut tasks: Vec<TaskName> = run
        .unknowns()
        .into_iter()
        .filter(|(_, unknown)| target.is_none() || *unknown == target)
        .map(|(task, _)| task.clone())
        .collect();
    tasks.dedup();
    match tasks.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Refused::NotNow {
            why: format!("nothing of run {id} waits to be resolved"),
            hint: Some(format!("runbook show {id}")),
        }),
        [first, ..] => Err(Refused::NotNow {
            why: format!("more than one task is unknown: {}", names(&tasks)),
            hint: Some(format!("runbook resolve {id} --task {first}")),
        }),
    }
}

fn names(tasks: &[TaskName]) -> String {
    tasks.iter().map(TaskName::as_str).collect::<Vec<_>>().join(", ")
}
