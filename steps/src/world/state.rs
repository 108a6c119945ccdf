//! The state of the world: facts in, and everything else follows from them and the time.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    command::{Command, Work},
    fault_rule::{FaultRule, Label, RuleKind},
    machine::{Change, Machine, Patches},
    roster::Roster,
};

/// One effect (or an attempt at one) on the world. What is decided by the world is in it, so that reading it again
/// needs neither the seed nor the rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fact {
    /// The first line.
    Began { format: u32, fleet: String, seed: u64 },
    /// Nothing but that time went on.
    Passed,
    /// `ssm:SendCommand`.
    CommandSent(Command),
    /// `ssm:CancelCommand`.
    CommandCancelled { id: String, machines: Vec<TargetId> },
    /// `ec2:CreateSnapshots`.
    SnapshotsCreated {
        snapshots: Vec<Snap>,
        tags: BTreeMap<String, String>,
        instance: TargetId,
        backup: Backup,
    },
    /// `ec2:CreateReplaceRootVolumeTask`, or the swap of volumes.
    RestoreStarted(Restore),
    /// The same again, with the same token: nothing new.
    RestoreRepeated { id: String, instance: TargetId },
    /// `ec2:RebootInstances`.
    Rebooted { machines: BTreeMap<TargetId, Vec<(Timestamp, Change)>> },
    /// A program on this machine.
    ProgramStarted {
        token: String,
        ended: Timestamp,
        code: i32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        machine: Option<TargetId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<(Timestamp, Change)>,
    },
    /// It was asked to end.
    ProgramKilled { token: String },
    /// What was kept of it was deleted.
    ProgramForgotten { token: String },
    /// A message to somebody outside: the host, never what was said.
    MessagePosted { host: String },
    /// A call that took no effect: throttled, or lost on its way.
    NotExecuted { call: String, machines: Vec<TargetId> },
}

/// A snapshot of one volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Snap {
    pub id: String,
    pub volume: String,
    /// When its state is final, …
    pub ready: Timestamp,
    /// … and whether it is completed then, else in error.
    pub ok: bool,
}

/// What a machine's volumes held when they were backed up.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Backup {
    pub at: Timestamp,
    pub patches: Patches,
    pub healthy: bool,
}

/// A restore.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Restore {
    pub id: String,
    pub instance: TargetId,
    pub token: String,
    pub snapshots: Vec<String>,
    pub strategy: String,
    pub at: Timestamp,
    pub ended: Timestamp,
    pub ok: bool,
    pub changes: Vec<(Timestamp, Change)>,
}

/// A snapshot with what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct KnownSnap {
    pub snap: Snap,
    pub instance: TargetId,
    pub tags: BTreeMap<String, String>,
    pub backup: Backup,
}

/// Rules that struck in one call, on a machine or on the call as a whole.
pub(super) type Struck = Vec<(u32, Option<TargetId>)>;

/// A program on this machine.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub ended: Timestamp,
    pub code: i32,
    pub only_looked: bool,
}

/// The whole world.
#[derive(Debug)]
pub(super) struct State {
    pub seed: u64,
    pub roster: Roster,
    pub machines: Vec<Machine>,
    /// In the order in which they were sent.
    pub commands: Vec<Command>,
    command_index: HashMap<String, usize>,
    pub snapshots: HashMap<String, KnownSnap>,
    by_tag: HashMap<(String, String), Vec<String>>,
    pub restores: HashMap<String, Restore>,
    pub restore_tokens: HashMap<String, String>,
    /// The restore that was begun last on each machine.
    pub last_restore: HashMap<TargetId, String>,
    pub programs: HashMap<String, Program>,
    /// How often each rule struck each machine, or a call.
    strikes: HashMap<(u32, Option<TargetId>), u32>,
    /// How many things were named: makes ids.
    named: u64,
}

impl State {
    pub fn new(roster: Roster, seed: u64) -> Self {
        let start = roster.file.start;
        let machines = roster
            .machines
            .iter()
            .map(|card| Machine::new(start, roster.file.groups[card.group].pending))
            .collect::<Vec<_>>();
        let mut state = Self {
            seed,
            roster,
            machines,
            commands: Vec::new(),
            command_index: HashMap::new(),
            snapshots: HashMap::new(),
            by_tag: HashMap::new(),
            restores: HashMap::new(),
            restore_tokens: HashMap::new(),
            last_restore: HashMap::new(),
            programs: HashMap::new(),
            strikes: HashMap::new(),
            named: 0,
        };
        for machine in 0..state.machines.len() {
            let sick: Vec<_> = state
                .roster
                .rules_for(machine, RuleKind::Unhealthy, None)
                .map(|(_, rule)| {
                    (super::time::later(start, rule.after.unwrap_or_default().get()), Change::Health(false))
                })
                .collect();
            state.machines[machine].expect(sick);
        }
        state
    }

    /// A fact becomes part of the world.
    pub fn apply(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::Began { seed, .. } => self.seed = *seed,
            Fact::Passed | Fact::MessagePosted { .. } | Fact::NotExecuted { .. } => {}
            Fact::CommandSent(command) => {
                self.named += 1;
                let patching = !matches!(command.work, Work::Other { .. });
                for part in &command.parts {
                    if let Some(machine) = self.touch(&part.machine, at) {
                        machine.expect(part.changes.iter().cloned());
                        if patching && part.started.is_some() {
                            machine.patching_until = machine.patching_until.max(Some(part.ended));
                        }
                    }
                }
                self.command_index.insert(command.id.clone(), self.commands.len());
                self.commands.push(command.clone());
            }
            Fact::CommandCancelled { id, machines } => {
                let Some(place) = self.command_index.get(id).copied() else { return };
                let Command { work, parts, .. } = &mut self.commands[place];
                let mut undone = Vec::new();
                for part in
                    parts.iter_mut().filter(|part| machines.is_empty() || machines.contains(&part.machine))
                {
                    let begun = part.started.is_some();
                    part.cancel(work, at);
                    if begun && part.started.is_none() {
                        undone.push((part.machine.clone(), std::mem::take(&mut part.changes)));
                    }
                }
                for (machine, changes) in undone {
                    if let Some(place) = self.roster.by_id(&machine) {
                        self.machines[place].unexpect(&changes);
                    }
                }
            }
            Fact::SnapshotsCreated { snapshots, tags, instance, backup } => {
                self.touch(instance, at);
                for snap in snapshots {
                    self.named += 1;
                    for (key, value) in tags {
                        self.by_tag.entry((key.clone(), value.clone())).or_default().push(snap.id.clone());
                    }
                    let known = KnownSnap {
                        snap: snap.clone(),
                        instance: instance.clone(),
                        tags: tags.clone(),
                        backup: *backup,
                    };
                    self.snapshots.insert(snap.id.clone(), known);
                }
            }
            Fact::RestoreStarted(restore) => {
                self.named += 1;
                if let Some(machine) = self.touch(&restore.instance, at) {
                    if restore.ok {
                        machine.forget_future();
                    }
                    machine.expect(restore.changes.iter().cloned());
                }
                self.restore_tokens.insert(restore.token.clone(), restore.id.clone());
                self.last_restore.insert(restore.instance.clone(), restore.id.clone());
                self.restores.insert(restore.id.clone(), restore.clone());
            }
            Fact::RestoreRepeated { .. } => {}
            Fact::Rebooted { machines } => {
                for (id, changes) in machines {
                    if let Some(machine) = self.touch(id, at) {
                        machine.expect(changes.iter().cloned());
                    }
                }
            }
            Fact::ProgramStarted { token, ended, code, machine, changes } => {
                if let Some(machine) = machine.as_ref().and_then(|id| self.touch(id, at)) {
                    machine.expect(changes.iter().cloned());
                }
                self.programs
                    .insert(token.clone(), Program { ended: *ended, code: *code, only_looked: false });
            }
            Fact::ProgramForgotten { token } => {
                self.programs.remove(token);
            }
            Fact::ProgramKilled { token } => {
                if let Some(program) = self.programs.get_mut(token).filter(|program| program.ended > at) {
                    *program = Program { ended: at, code: 128 + 15, ..*program };
                }
            }
        }
    }

    /// Notes that rules struck.
    pub fn note_strikes(&mut self, struck: &Struck) {
        for strike in struck {
            *self.strikes.entry(strike.clone()).or_default() += 1;
        }
    }

    /// The first rule of a kind that strikes this machine now; it is added to `struck`.
    pub fn strike(
        &self,
        machine: usize,
        kind: RuleKind,
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<&FaultRule> {
        let id = &self.roster.machines[machine].id;
        let (number, rule) = self.roster.rules_for(machine, kind, label).find(|(number, rule)| {
            rule.limit().is_none_or(|limit| self.struck_so_far(*number, Some(id)) < limit)
        })?;
        struck.push((number, Some(id.clone())));
        Some(rule)
    }

    /// The first rule about calls that strikes this call now.
    pub fn strike_call(
        &self,
        kind: RuleKind,
        call: &str,
        writes: bool,
        machines: &[usize],
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> bool {
        let found = self.roster.call_rules(machines, label).find(|(number, rule)| {
            rule.kind == kind
                && rule.call.as_deref().map_or(writes, |wanted| wanted == call)
                && rule.limit().is_none_or(|limit| self.struck_so_far(*number, None) < limit)
        });
        let Some((number, _)) = found else { return false };
        struck.push((number, None));
        true
    }

    pub fn struck_so_far(&self, rule: u32, machine: Option<&TargetId>) -> u32 {
        self.strikes.get(&(rule, machine.cloned())).copied().unwrap_or(0)
    }

    pub fn command(&self, id: &str) -> Option<&Command> {
        self.command_index.get(id).map(|place| &self.commands[*place])
    }

    pub fn tagged(&self, key: &str, value: &str) -> impl Iterator<Item = &KnownSnap> {
        let ids = self.by_tag.get(&(key.to_owned(), value.to_owned()));
        ids.into_iter().flatten().filter_map(|id| self.snapshots.get(id))
    }

    /// A number for a new id.
    pub fn next_name(&self) -> u64 {
        self.named
    }

    /// A machine that something is done to, as it is now.
    fn touch(&mut self, id: &TargetId, at: Timestamp) -> Option<&mut Machine> {
        let place = self.roster.by_id(id)?;
        let machine = &mut self.machines[place];
        machine.now(at);
        machine.effects += 1;
        Some(machine)
    }

    /// Whether a machine is gone for everybody.
    pub fn is_gone(&self, machine: usize, now: Timestamp, at_its_wave: bool) -> bool {
        let start = self.roster.file.start;
        self.roster.rules_for(machine, RuleKind::Missing, None).any(|(_, rule)| match rule.after {
            None => at_its_wave,
            Some(after) => now >= super::time::later(start, after.get()),
        })
    }
}
