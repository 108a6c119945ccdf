//! EC2 instances: what they are, and what is asked of them.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    chance,
    durations::Lasting,
    fault_rule::{Label, RuleKind},
    fleet::{MachineKind, Platform},
    hardware::{PublicIp, RootDevice},
    machine::{Change, Condition, Power},
    place::Place,
    refusal::refused,
    roster::Roster,
    state::{Fact, State, Struck},
    time::later,
};
use crate::ports::{
    ec2::{Instance, InstanceStatus},
    fault::Fault,
};

/// What every simulated EC2 machine was made from.
pub(super) const IMAGE: &str = "ami-00000000000000001";
/// How long the status checks take a machine for good that does not answer: they run each minute
/// (facts: Is it back).
const BLIND: Duration = Duration::from_secs(180);
/// How long a system goes down.
const DOWN: Duration = Duration::from_secs(5);

/// The most instances of one call that starts, stops or reboots them (facts: Pages and batches).
const MOST_INSTANCES: usize = 1000;

/// What happens to machines in one call.
pub(super) type Changes = BTreeMap<TargetId, Vec<(Timestamp, Change)>>;

/// The device name of a machine's root volume.
pub(super) fn root_device_name(roster: &Roster, machine: usize) -> &'static str {
    match roster.group(machine).platform {
        Platform::Linux => "/dev/xvda",
        Platform::Windows => "/dev/sda1",
    }
}

/// The device name of a machine's volume: the root is number 0.
pub(super) fn device_name(roster: &Roster, machine: usize, number: u32) -> String {
    match number {
        0 => root_device_name(roster, machine).to_owned(),
        // /dev/sdf to /dev/sdp are recommended; beyond 20 volumes no fleet file goes.
        n => format!("/dev/sd{}", char::from(b'e' + n as u8)),
    }
}

/// The instance with this id, if it is there.
pub(super) fn instance_at(
    state: &State,
    here: &Place,
    id: &TargetId,
    now: Timestamp,
    call: &'static str,
) -> Result<usize, Fault> {
    find(state, here, id, now).ok_or_else(|| {
        let code = if call.starts_with("ec2:") { "InvalidInstanceID.NotFound" } else { "InvalidInstanceId" };
        refused(call, code, format!("{id} is not there, or not managed"))
    })
}

/// The instance with this id, if it is there.
pub(super) fn find(state: &State, here: &Place, id: &TargetId, now: Timestamp) -> Option<usize> {
    let machine = state.roster.by_id(id)?;
    let there = state.roster.group(machine).kind == MachineKind::Ec2
        && here.sees(state.roster.place(machine))
        && !state.is_gone(machine, now, true);
    there.then_some(machine)
}

/// An instance as EC2 describes it.
pub(super) fn show(state: &State, machine: usize, now: Timestamp) -> Instance {
    let (card, group) = (&state.roster.machines[machine], state.roster.group(machine));
    let holder = &state.machines[machine];
    let condition = holder.condition();
    let attached = holder.volumes.values().filter_map(|id| state.disks.volumes.get(id)?.attachment(now));
    Instance {
        id: card.id.to_string(),
        state: condition.power.as_str().to_owned(),
        image: image(state, machine, now).to_owned(),
        kind: group.instance_type.clone(),
        zone: state.zone(machine),
        root_device: root_device_name(&state.roster, machine).to_owned(),
        root_device_type: group.root_device.as_str().to_owned(),
        volumes: attached.collect(),
        lifecycle: group.spot.then(|| "spot".to_owned()),
        auto_scaling_group: group.auto_scaling_group.clone(),
        hibernates: group.hibernates,
        private_ip: Some(card.private_ip.clone()),
        public_ip: public_ip(state, machine),
        public_ip_is_elastic: group.public_ip == Some(PublicIp::Elastic),
        platform: if group.platform == Platform::Windows { "windows".to_owned() } else { String::new() },
        launched_at: Some(condition.launched_at),
        tags: card.tags.clone(),
    }
}

/// What a machine was made from.
pub(super) fn image(state: &State, machine: usize, now: Timestamp) -> &str {
    let card = &state.roster.machines[machine];
    let start = state.roster.file.start;
    let replaced = state
        .roster
        .rules_for(machine, RuleKind::Replaced, None)
        .any(|(_, rule)| rule.after.is_none_or(|after| now >= later(start, after.get())));
    match &card.image {
        Some(image) => image,
        None if replaced => "ami-00000000000000002",
        None => IMAGE,
    }
}

/// The public address that a machine has now.
fn public_ip(state: &State, machine: usize) -> Option<String> {
    let condition = state.machines[machine].condition();
    let starts = match state.roster.group(machine).public_ip? {
        PublicIp::Elastic => 0,
        PublicIp::Auto if matches!(condition.power, Power::Stopped) => return None,
        PublicIp::Auto => condition.starts,
    };
    let id = state.roster.machines[machine].id.as_str();
    // 198.18.0.0/15 is for tests (RFC 2544): an address of nobody.
    let draw = chance::draw(0, &[id, "address", &starts.to_string()]) % (1 << 17);
    Some(Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + draw as u32).to_string())
}

/// What the status checks say: they stay `ok` over a quick reboot (facts: Is it back).
pub(super) fn status(state: &State, machine: usize, now: Timestamp) -> InstanceStatus {
    let condition = state.machines[machine].condition();
    let reachability = match condition.power {
        Power::Running => reachability(condition, now),
        Power::Pending => "initializing",
        Power::Stopping | Power::Stopped => "not-applicable",
    };
    let system = if matches!(reachability, "impaired") { "ok" } else { reachability };
    InstanceStatus {
        instance: state.roster.machines[machine].id.to_string(),
        state: condition.power.as_str().to_owned(),
        system: system.to_owned(),
        reachability: reachability.to_owned(),
    }
}

fn reachability(condition: &Condition, now: Timestamp) -> &'static str {
    if condition.up {
        "ok"
    } else if condition.launched_at > condition.booted_at && now < later(condition.launched_at, BLIND) {
        "initializing"
    } else if now < later(condition.down_at.max(condition.launched_at), BLIND) {
        "ok"
    } else {
        "impaired"
    }
}

fn machines_of(
    state: &State,
    here: &Place,
    ids: &[TargetId],
    now: Timestamp,
    call: &'static str,
) -> Result<Vec<usize>, Fault> {
    if ids.is_empty() {
        return Err(refused(call, "MissingParameter", "no instance is named"));
    }
    if ids.len() > MOST_INSTANCES {
        return Err(refused(call, "InvalidParameterValue", format!("{} instances in one call", ids.len())));
    }
    // One id that is not there fails the whole call (facts: Pages and batches).
    ids.iter().map(|id| instance_at(state, here, id, now, call)).collect()
}

/// `StopInstances`.
pub(super) fn stop(
    state: &State,
    now: Timestamp,
    here: &Place,
    ids: &[TargetId],
) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:StopInstances";
    let mut stopped = Changes::new();
    for machine in machines_of(state, here, ids, now, CALL)? {
        let (card, group) = (&state.roster.machines[machine], state.roster.group(machine));
        if group.root_device == RootDevice::InstanceStore {
            let message = format!(
                "the instance '{}' does not have an 'ebs' root device type and cannot be stopped",
                card.id
            );
            return Err(refused(CALL, "UnsupportedOperation", message));
        }
        if group.spot {
            let message =
                format!("'{}' is a spot instance of a one-time request and cannot be stopped", card.id);
            return Err(refused(CALL, "UnsupportedOperation", message));
        }
        let holder = &state.machines[machine];
        match holder.condition().power {
            Power::Running => {
                let stop = state.roster.lasting(state.seed, machine, Lasting::Stop, holder.effects);
                let mut changes = vec![(now, Change::Power(Power::Stopping))];
                if holder.condition().up {
                    changes.push((later(now, DOWN), Change::Down));
                }
                changes.push((later(now, stop.max(DOWN)), Change::Power(Power::Stopped)));
                stopped.insert(card.id.clone(), changes);
            }
            // There already (facts: Client tokens).
            Power::Stopping | Power::Stopped => {}
            Power::Pending => {
                let message =
                    format!("the instance '{}' is not in a state from which it can be stopped", card.id);
                return Err(refused(CALL, "IncorrectInstanceState", message));
            }
        }
    }
    Ok((effect(CALL, ids, stopped, |machines| Fact::Stopped { machines }), ()))
}

/// `StartInstances`.
pub(super) fn start(
    state: &State,
    now: Timestamp,
    here: &Place,
    ids: &[TargetId],
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:StartInstances";
    let mut started = Changes::new();
    for machine in machines_of(state, here, ids, now, CALL)? {
        let card = &state.roster.machines[machine];
        let holder = &state.machines[machine];
        match holder.condition().power {
            Power::Stopped => {}
            Power::Pending | Power::Running => continue,
            Power::Stopping => {
                let message =
                    format!("the instance '{}' is not in a state from which it can be started", card.id);
                return Err(refused(CALL, "IncorrectInstanceState", message));
            }
        }
        let device = root_device_name(&state.roster, machine);
        let root = holder.volumes.get(device).and_then(|id| state.disks.volumes.get(id));
        let Some(root) = root else {
            let message = format!(
                "invalid value '{}' for instanceId: instance does not have a volume attached at root ({device})",
                card.id
            );
            return Err(refused(CALL, "InvalidParameterValue", message));
        };
        if state.strike(machine, RuleKind::NoCapacity, label, struck).is_some() {
            let message = "insufficient capacity";
            return Err(refused(CALL, "InsufficientInstanceCapacity", message));
        }
        let lasting = |what| state.roster.lasting(state.seed, machine, what, holder.effects);
        let running = later(now, lasting(Lasting::Start));
        let mut changes =
            vec![(now, Change::Power(Power::Pending)), (running, Change::Power(Power::Running))];
        if root.content.boots {
            changes.push((later(running, lasting(Lasting::Boot)), Change::Up));
        }
        started.insert(card.id.clone(), changes);
    }
    Ok((effect(CALL, ids, started, |machines| Fact::Started { machines }), ()))
}

/// What was there already is no effect.
fn effect(
    call: &'static str,
    ids: &[TargetId],
    changes: Changes,
    fact: impl FnOnce(Changes) -> Fact,
) -> Fact {
    if changes.is_empty() { Fact::repeated(call, ids.to_vec(), "") } else { fact(changes) }
}

/// `RebootInstances`.
pub(super) fn reboot(
    state: &State,
    now: Timestamp,
    here: &Place,
    ids: &[TargetId],
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:RebootInstances";
    let mut machines = Changes::new();
    for machine in machines_of(state, here, ids, now, CALL)? {
        let id = state.roster.machines[machine].id.clone();
        let holder = &state.machines[machine];
        if holder.condition().power != Power::Running {
            let message = format!("the instance '{id}' is not in a state from which it can be rebooted");
            return Err(refused(CALL, "IncorrectInstanceState", message));
        }
        let down = later(now, DOWN);
        let mut changes = vec![(down, Change::Down)];
        if state.strike(machine, RuleKind::SilentAfterReboot, label, struck).is_some() {
            changes.push((down, Change::Broken));
        } else if holder.at(now).content.boots {
            let boot = state.roster.lasting(state.seed, machine, Lasting::Boot, holder.effects);
            changes.push((later(down, boot), Change::Up));
        }
        machines.insert(id, changes);
    }
    Ok((Fact::Rebooted { machines }, ()))
}
