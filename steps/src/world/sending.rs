//! `SendCommand`: who gets a command, in which order, and what becomes of it.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    account::SendRequest,
    command::{Command, Part, Work},
    fault_rule::Label,
    fleet::MachineKind,
    instance::find,
    machine::Power,
    part::Delivery,
    place::Place,
    refusal::refused,
    state::{Fact, State, Struck},
};
use crate::ports::fault::Fault;

pub(super) const CALL: &str = "ssm:SendCommand";
/// The most instances of one command (facts: SendCommand).
const MOST_INSTANCES: usize = 50;
/// The most keys of targets, and values of each.
const MOST_TARGETS: (usize, usize) = (5, 50);
/// The longest comment.
const LONGEST_COMMENT: usize = 100;
/// Bounds of the delivery time-out.
const DELIVERY: std::ops::RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(2_592_000);

/// A number of machines, or so many of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Absolute(usize),
    Percent(usize),
}

impl Limit {
    /// As requests have it.
    pub fn read(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|n| *n <= 100).map(Self::Percent),
            None => text.parse().ok().map(Self::Absolute),
        }
    }

    /// Of so many machines. How percentages are rounded is not documented (facts: SendCommand): down.
    pub fn of(self, machines: usize) -> usize {
        match self {
            Self::Absolute(n) => n,
            Self::Percent(n) => machines * n / 100,
        }
    }
}

/// `SendCommand`.
pub(super) fn send(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: SendRequest,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, Command), Fault> {
    let invalid = |message: String| refused(CALL, "ValidationException", message);
    let concurrency = Limit::read(&request.max_concurrency).filter(|limit| limit.of(100) > 0);
    let concurrency = concurrency
        .ok_or_else(|| invalid(format!("MaxConcurrency cannot be '{}'", request.max_concurrency)))?;
    let errors = Limit::read(&request.max_errors)
        .ok_or_else(|| invalid(format!("MaxErrors cannot be '{}'", request.max_errors)))?;
    check(&request)?;
    let work = Work::read(&request).map_err(|message| refused(CALL, "InvalidParameters", message))?;
    let machines = chosen(state, here, &request, now)?;
    let most_at_a_time = concurrency.of(machines.len()).max(1);
    let most_errors = errors.of(machines.len());

    // Who runs now, by when it ends; a slot that becomes free goes to the next machine.
    let mut running = BinaryHeap::new();
    let mut failed: Vec<Timestamp> = Vec::new();
    let mut parts: Vec<Part> = Vec::with_capacity(machines.len());
    for machine in machines {
        let at = match running.len() < most_at_a_time {
            true => now,
            false => running.pop().map_or(now, |Reverse(at)| at),
        };
        let delivery = Delivery {
            state,
            machine,
            work: &work,
            document: &request.document,
            timeout: request.delivery_timeout,
            sent: now,
            at,
            label,
        };
        // Counted when the next machine is handed out; those that run go on to their end
        // (facts: SendCommand).
        let part = if failed.iter().filter(|ended| **ended <= at).count() > most_errors {
            delivery.terminated()
        } else {
            delivery.decide(struck)
        };
        if part.end.is_error() {
            failed.push(part.ended);
        }
        running.push(Reverse(part.ended));
        parts.push(part);
    }
    let SendRequest {
        document,
        targets,
        parameters,
        comment,
        delivery_timeout,
        max_concurrency,
        max_errors,
        ..
    } = request;
    let command = Command {
        id: format!("c0ffee00-0000-4000-8000-{:012x}", state.named),
        place: here.clone(),
        document,
        comment,
        parameters,
        targets,
        max_concurrency,
        max_errors,
        delivery: delivery_timeout,
        at: now,
        seen_from: state.seen_from(CALL, now, struck),
        work,
        parts,
        cancelled: None,
    };
    Ok((Fact::CommandSent(Box::new(command.clone())), command))
}

fn check(request: &SendRequest) -> Result<(), Fault> {
    let invalid = |message: String| Err(refused(CALL, "ValidationException", message));
    let SendRequest { instances, targets, comment, delivery_timeout, .. } = request;
    match (instances.len(), targets.len()) {
        (0, 0) => return invalid("neither instances nor targets".into()),
        (1.., 1..) => return invalid("instances and targets exclude each other".into()),
        (named, keys) if named > MOST_INSTANCES || keys > MOST_TARGETS.0 => {
            return invalid(format!("{named} instances and {keys} targets in one command"));
        }
        _ => {}
    }
    if targets.iter().any(|(_, values)| values.is_empty() || values.len() > MOST_TARGETS.1) {
        return invalid("a target has 1 to 50 values".into());
    }
    if instances.iter().collect::<BTreeSet<_>>().len() < instances.len() {
        return Err(refused(CALL, "DuplicateInstanceId", "an instance is named twice"));
    }
    if comment.chars().count() > LONGEST_COMMENT {
        return invalid("the comment is longer than 100 characters".into());
    }
    if !DELIVERY.contains(delivery_timeout) {
        return invalid("TimeoutSeconds is not in 30 to 2592000".into());
    }
    Ok(())
}

/// The machines that a command is for.
fn chosen(state: &State, here: &Place, request: &SendRequest, now: Timestamp) -> Result<Vec<usize>, Fault> {
    // One instance that the service does not know fails the whole call (facts: SendCommand).
    let named = |id: &TargetId| {
        registered(state, here, id, now)
            .ok_or_else(|| refused(CALL, "InvalidInstanceId", format!("{id} is not there, or not managed")))
    };
    if request.targets.is_empty() {
        return request.instances.iter().map(named).collect();
    }
    let mut chosen: Option<BTreeSet<usize>> = None;
    for (key, values) in &request.targets {
        let some: BTreeSet<usize> = match key.split_once(':') {
            None if key == "InstanceIds" => {
                values.iter().map(|id| named(&TargetId::new(id))).collect::<Result<_, _>>()?
            }
            Some(("tag", name)) => machines_with(state, here, now, |machine| {
                state.roster.machines[machine].tags.get(name).is_some_and(|value| values.contains(value))
            }),
            Some(("resource-groups", "Name")) => {
                machines_with(state, here, now, |machine| values.contains(&state.roster.group(machine).name))
            }
            _ => {
                return Err(refused(CALL, "ValidationException", format!("'{key}' is no key of a target")));
            }
        };
        chosen = Some(match chosen {
            None => some,
            Some(others) => others.intersection(&some).copied().collect(),
        });
    }
    Ok(chosen.unwrap_or_default().into_iter().collect())
}

/// Nodes that nobody knows are left out silently here (facts: SendCommand).
fn machines_with(
    state: &State,
    here: &Place,
    now: Timestamp,
    fits: impl Fn(usize) -> bool,
) -> BTreeSet<usize> {
    (0..state.machines.len())
        .filter(|machine| fits(*machine) && state.machines[*machine].condition().power != Power::Stopped)
        .filter(|machine| state.roster.group(*machine).kind == MachineKind::Ec2)
        .filter(|machine| registered(state, here, &state.roster.machines[*machine].id, now).is_some())
        .collect()
}

/// The node with this id, if Systems Manager knows it. One that never came up is not known yet.
pub(super) fn registered(state: &State, here: &Place, id: &TargetId, now: Timestamp) -> Option<usize> {
    use super::fault_rule::RuleKind::Unmanaged;
    let machine = find(state, here, id, now)?;
    let known = state.machines[machine].condition().boots > 0
        && !state.roster.rules_of(machine).any(|rule| rule.kind == Unmanaged);
    known.then_some(machine)
}
