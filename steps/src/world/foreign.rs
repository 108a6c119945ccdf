//! What somebody else does in the same accounts: installations of patches that are none of ours
//! (facts: AWS-RunPatchBaseline).

use std::time::Duration;

use super::{
    command::{Command, End, Part, Work},
    durations::Lasting,
    fault_rule::RuleKind,
    fleet::MachineKind,
    machine::{Change, Reported},
    state::State,
    time::later,
};

/// The patch snapshot of operations that are none of ours.
pub(super) const SNAPSHOT: &str = "f0e19000-0000-4000-8000-000000000000";

/// Sends the commands of rules `foreign_patching`.
pub(super) fn send(state: &mut State) {
    let start = state.roster.file.start;
    let mut commands = Vec::new();
    for machine in 0..state.roster.machines.len() {
        if state.roster.group(machine).kind != MachineKind::Ec2 {
            continue;
        }
        let rule = state.roster.rules_of(machine).find(|rule| rule.kind == RuleKind::ForeignPatching);
        let Some(rule) = rule else { continue };
        let began = later(start, rule.after.unwrap_or_default().get());
        let ended = later(began, state.roster.lasting(state.seed, machine, Lasting::Patch, u32::MAX));
        let snapshot_id = Some(SNAPSHOT.to_owned());
        let report = Reported {
            snapshot_id: snapshot_id.clone(),
            started_at: began,
            shown: later(ended, super::command::UPLOAD),
        };
        let change = Change::Installed { left: 0, failed: 0, reboot: false, report };
        let id = state.roster.machines[machine].id.clone();
        let part = Part {
            machine: id,
            started: Some(began),
            ended,
            shown: ended,
            end: End::Success,
            stdout: String::new(),
            stderr: String::new(),
            seen_from: None,
            strange: false,
            changes: vec![(ended, change)],
        };
        state.machines[machine].foreign_patching = Some((began, ended));
        state.expect(machine, &part.changes);
        commands.push(Command {
            id: format!("f0e19000-0000-4000-8000-{machine:012x}"),
            place: state.roster.place(machine).clone(),
            document: "AWS-RunPatchBaseline".into(),
            comment: String::new(),
            parameters: [("Operation".to_owned(), vec!["Install".to_owned()])].into(),
            targets: Vec::new(),
            max_concurrency: "50".into(),
            max_errors: "0".into(),
            delivery: Duration::from_secs(3600),
            at: began,
            seen_from: began,
            work: Work::Install { reboot: false, snapshot_id },
            parts: vec![part],
            cancelled: None,
        });
    }
    commands.sort_by_key(|command| command.at);
    state.foreign = commands;
}
