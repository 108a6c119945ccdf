//! Failing at each task in turn restores exactly what was changed.

use runbook_state::MemoryStore;
use runbook_steps::world::World;

use super::rig::{self, Shown};

const PATCH_LINUX: &str = include_str!("../../../runbooks/patch-linux.yaml");
const HAPPY: &str = include_str!("../../../runbooks/fleets/happy.yaml");

/// The happy fleet with one fault on one machine.
fn fleet(kind: &str, step: &str, machine: &str) -> String {
    format!("{HAPPY}\nfaults:\n  - {{ kind: {kind}, step: {step}, targets: [{machine}] }}\n")
}

/// Machines that were restored, and how often a restore was called for.
fn restored(kind: &str, step: &str, machine: &str) -> (u8, Vec<String>, usize) {
    let world = World::in_memory(&fleet(kind, step, machine), 1).expect("a world");
    let store = MemoryStore::new();
    let plan = rig::plan(PATCH_LINUX, &world);
    let names: std::collections::BTreeMap<_, _> =
        plan.targets.values().map(|target| (target.id.to_string(), target.name.clone())).collect();
    let report =
        rig::run(rig::parts(store.reopened(), &world), plan, &mut Shown::default()).expect("it runs");
    let outcomes = rig::outcomes(&store.reopened(), &report.run);
    let back =
        outcomes.iter().filter(|(_, outcome)| **outcome == "restored").map(|(id, _)| names[id].clone());
    // A root volume is replaced; a machine with more volumes is stopped once, and all of them are swapped.
    let restores = ["ec2:CreateReplaceRootVolumeTask", "ec2:StopInstances"];
    (report.code, back.collect(), restores.iter().map(|call| world.calls().count(call)).sum())
}

#[test]
fn failing_at_each_task_in_turn_restores_exactly_what_was_changed() {
    let machines = (1..=2).map(|n| format!("dev/{n}")).chain((1..=6).map(|n| format!("staging/{n}")));
    let machines: Vec<_> = machines.chain((1..=12).step_by(3).map(|n| format!("production/{n}"))).collect();
    for machine in &machines {
        let (group, number) = machine.split_once('/').expect("group and number");
        let name =
            if group == "production" { format!("{group}-{number:0>2}") } else { format!("{group}-{number}") };
        assert_eq!(
            restored("snapshot_error", "backup", machine),
            (10, vec![], 0),
            "nothing was changed on {machine}"
        );
        for (kind, step) in [("command_failed", "patch"), ("unhealthy_after_patch", "patch")] {
            let what = restored(kind, step, machine);
            assert_eq!(what, (10, vec![name.clone()], 1), "{kind} in {step} on {machine}");
        }
    }
}
