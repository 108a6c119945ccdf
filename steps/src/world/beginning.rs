//! What there is when the world begins.

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    fault_rule::RuleKind,
    fleet::MachineKind,
    hardware::RootDevice,
    instance::device_name,
    linux::Stock,
    machine::{Change, Machine},
    state::State,
    time::later,
    volume::{Held, Volume},
};

/// Puts the machines of the roster into a new world, with their volumes and with what goes wrong by itself.
pub(super) fn furnish(state: &mut State) {
    let start = state.roster.file.start;
    for machine in 0..state.roster.machines.len() {
        let group = state.roster.group(machine);
        let (pending, kind, root) = (group.pending, group.kind, group.root_device);
        state.machines.push(Machine::new(start, pending));
        if kind == MachineKind::Ec2 && root == RootDevice::Ebs {
            give_volumes(state, machine, start);
        }
        if kind == MachineKind::Host {
            let stock = Stock::of(state.roster.group(machine));
            state.machines[machine].condition_mut().stock = stock;
        }
        let standing: Vec<_> = state
            .roster
            .rules_of(machine)
            .filter_map(|rule| {
                let change = match rule.kind {
                    RuleKind::Unhealthy => Change::Health(false),
                    RuleKind::AgentLost => Change::AgentLost,
                    _ => return None,
                };
                Some((later(start, rule.after.unwrap_or_default().get()), change))
            })
            .collect();
        state.expect(machine, &standing);
    }
    super::foreign::send(state);
}

fn give_volumes(state: &mut State, machine: usize, start: Timestamp) {
    let made = state.machines[machine].condition().launched_at;
    let id = state.roster.machines[machine].id.clone();
    let (zone, place) = (state.zone(machine), state.roster.place(machine).clone());
    let content = state.machines[machine].condition().content;
    for number in 0..state.roster.group(machine).volumes {
        let root = number == 0;
        let device = device_name(&state.roster, machine, number);
        let disks = &state.roster.group(machine).disks;
        let held = Held {
            instance: id.clone(),
            device,
            ready: made,
            delete_on_termination: if root { disks.delete_root } else { disks.delete_data },
        };
        let volume = Volume {
            id: volume_id(&id, number),
            place: place.clone(),
            size_gib: if root { disks.root_gib } else { disks.data_gib },
            kind: disks.kind.clone(),
            iops: disks.iops(),
            throughput: disks.throughput(),
            encrypted: disks.encrypted,
            kms_key: disks.kms_key.clone(),
            zone: zone.clone(),
            snapshot: None,
            made,
            seen_from: start.min(made),
            ready: made,
            fails: false,
            deleted: None,
            held: None,
            left: None,
            tags: disks.tags.clone(),
            content,
            root_of: Vec::new(),
        };
        let id = volume.id.clone();
        state.disks.volumes.insert(volume);
        state.hold(&id, held);
    }
}

/// The id of a machine's volume: the root is number 0.
pub(super) fn volume_id(instance: &TargetId, number: u32) -> String {
    let digits: String = instance.as_str().trim_start_matches("i-0").chars().take(15).collect();
    format!("vol-{digits}{number:02x}")
}
