//! The state of the world: facts in, and everything else follows from them and the time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    alarm::AlarmSet,
    command::Command,
    disk_fact::{DiskFact, Disks},
    fault_rule::RuleKind,
    instance::Changes,
    linux::{HostFact, Hosts},
    machine::{Change, Content, Machine, Power},
    replacement::Replacement,
    roster::Roster,
    time::later,
    vault::{VaultFact, Vaults},
    volume::{Held, Volume},
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
    CommandSent(Box<Command>),
    /// `ssm:CancelCommand`.
    CommandCancelled { id: String, machines: Vec<TargetId> },
    /// On volumes, snapshots, images and tags.
    Disks(DiskFact),
    /// `ec2:CreateReplaceRootVolumeTask`.
    RootReplacementBegun(Box<Replacement>),
    /// `ec2:StopInstances`.
    Stopped { machines: Changes },
    /// `ec2:StartInstances`.
    Started { machines: Changes },
    /// `ec2:RebootInstances`.
    Rebooted { machines: Changes },
    /// Of AWS Backup.
    Vaults(VaultFact),
    /// On hosts of our own.
    Hosts(HostFact),
    /// `cloudwatch:SetAlarmState`.
    AlarmSet(AlarmSet),
    /// A program on this machine.
    ProgramStarted {
        token: String,
        ended: Timestamp,
        code: i32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        machine: Option<TargetId>,
        /// Whom it was started for, where that is no machine of this world.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stranger: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<(Timestamp, Change)>,
    },
    /// It was asked to end.
    ProgramKilled { token: String },
    /// What was kept of it was deleted.
    ProgramForgotten { token: String },
    /// A message to somebody outside: the host, never what was said.
    MessagePosted { host: String },
    /// A call that took no effect because an earlier one had it: the same client token, or a state that is there.
    Repeated { call: String, machines: Vec<TargetId>, token: String },
    /// A call that took no effect: throttled, or lost on its way.
    NotExecuted { call: String, machines: Vec<TargetId> },
}

impl Fact {
    pub fn repeated(call: &'static str, machines: Vec<TargetId>, token: &str) -> Self {
        Self::Repeated { call: call.to_owned(), machines, token: token.to_owned() }
    }
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

/// What happens by itself at a moment that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// Something about this machine.
    Machine(usize),
    /// A backup job starts.
    Backup(String),
    /// A restore job has made its instance.
    Rebuild(String),
}

/// The whole world.
#[derive(Debug)]
pub(super) struct State {
    pub seed: u64,
    pub roster: Roster,
    pub machines: Vec<Machine>,
    /// In the order in which they were sent.
    pub commands: Vec<Command>,
    /// Those that somebody else sends, in the same order.
    pub foreign: Vec<Command>,
    command_index: HashMap<String, usize>,
    pub disks: Disks,
    pub vaults: Vaults,
    pub hosts: Hosts,
    /// What alarms were set to, in the order of time.
    pub alarms_set: Vec<(Timestamp, AlarmSet)>,
    /// What was asked for with each client token, and what was made.
    pub tokens: HashMap<String, (u64, String)>,
    pub programs: HashMap<String, Program>,
    /// How often each rule struck each machine, or a call.
    pub strikes: HashMap<(u32, Option<TargetId>), u32>,
    /// How many things were named: makes ids.
    pub named: u64,
    agenda: BinaryHeap<Reverse<(Timestamp, Due)>>,
}

impl State {
    pub fn new(roster: Roster, seed: u64) -> Self {
        let mut state = Self {
            seed,
            machines: Vec::with_capacity(roster.machines.len()),
            vaults: Vaults::new(&roster.file.vaults),
            roster,
            hosts: Hosts::default(),
            alarms_set: Vec::new(),
            commands: Vec::new(),
            foreign: Vec::new(),
            command_index: HashMap::new(),
            disks: Disks::default(),
            tokens: HashMap::new(),
            programs: HashMap::new(),
            strikes: HashMap::new(),
            named: 0,
            agenda: BinaryHeap::new(),
        };
        super::beginning::furnish(&mut state);
        state
    }

    /// Lets everything take place that is due by now.
    pub fn settle(&mut self, now: Timestamp) {
        while let Some(Reverse((at, _))) = self.agenda.peek()
            && *at <= now
            && let Some(Reverse((at, due))) = self.agenda.pop()
        {
            match due {
                Due::Machine(machine) => self.advance(machine, at),
                Due::Backup(job) => self.begin_backup(&job, at),
                Due::Rebuild(job) => self.rebuild(&job, at),
            }
        }
    }

    /// Lets what is due about a machine take place.
    fn advance(&mut self, machine: usize, now: Timestamp) {
        while let Some((at, change)) = self.machines[machine].take_due(now) {
            match &change {
                Change::Power(Power::Stopped) => self.put_down(machine),
                Change::RootReplaced { volume, .. } => {
                    self.put_down(machine);
                    self.change_root(machine, Some(volume), at);
                }
                Change::RootLost => {
                    self.put_down(machine);
                    self.change_root(machine, None, at);
                }
                _ => {}
            }
            self.machines[machine].change(at, &change);
        }
    }

    /// What a machine's root volume holds is written to it: nothing runs from it any more.
    fn put_down(&mut self, machine: usize) {
        let content = self.machines[machine].condition().content;
        if let Some(root) = self.root(machine).cloned().and_then(|id| self.disks.volumes.get_mut(&id)) {
            root.content = content;
        }
    }

    /// A machine's root volume is taken away, and perhaps another one put in its place.
    fn change_root(&mut self, machine: usize, new: Option<&str>, at: Timestamp) {
        let old = self.root(machine).and_then(|id| self.disks.volumes.get(id));
        let Some((id, held)) = old.and_then(|old| Some((old.id.clone(), old.held.clone()?))) else { return };
        self.release(&id, at);
        if let Some(new) = new {
            self.hold(new, Held { ready: at, ..held });
        }
    }

    /// A machine's root volume.
    pub fn root(&self, machine: usize) -> Option<&String> {
        self.machines[machine].volumes.get(super::instance::root_device_name(&self.roster, machine))
    }

    /// What a volume holds now.
    pub fn content(&self, volume: &Volume) -> Content {
        let holder = volume.held.as_ref().and_then(|held| self.roster.by_id(&held.instance));
        let running = holder.filter(|machine| {
            self.root(*machine) == Some(&volume.id)
                && self.machines[*machine].condition().power != Power::Stopped
        });
        running.map_or(volume.content, |machine| self.machines[machine].condition().content)
    }

    /// Something is now known to come.
    pub fn expect(&mut self, machine: usize, changes: &[(Timestamp, Change)]) {
        self.agenda.extend(changes.iter().map(|(at, _)| Reverse((*at, Due::Machine(machine)))));
        self.machines[machine].expect(changes.iter().cloned());
    }

    pub fn remind(&mut self, at: Timestamp, due: Due) {
        self.agenda.push(Reverse((at, due)));
    }

    /// A fact becomes part of the world.
    pub fn apply(&mut self, at: Timestamp, fact: &Fact) {
        self.settle(at);
        match fact {
            Fact::Began { seed, .. } => self.seed = *seed,
            Fact::Passed | Fact::MessagePosted { .. } | Fact::Repeated { .. } | Fact::NotExecuted { .. } => {}
            Fact::AlarmSet(set) => self.alarms_set.push((at, set.clone())),
            Fact::CommandSent(command) => self.command_sent(command),
            Fact::CommandCancelled { id, machines } => self.command_cancelled(at, id, machines),
            Fact::Disks(fact) => self.apply_to_disks(at, fact),
            Fact::Vaults(fact) => self.apply_to_vaults(at, fact),
            Fact::Hosts(fact) => self.apply_to_hosts(at, fact),
            Fact::RootReplacementBegun(task) => {
                self.named += 2;
                if let Some(machine) = self.touch(&task.instance) {
                    self.cut_off(machine, at);
                    if task.end != super::replacement::End::Failed {
                        self.machines[machine].forget_future();
                    }
                    self.expect(machine, &task.changes);
                }
                if let Some(volume) = &task.volume {
                    self.disks.volumes.insert(Volume { held: None, ..volume.clone() });
                }
                self.keep(&task.token, &task.id);
                self.disks.last_replacement.insert(task.instance.clone(), task.id.clone());
                self.disks.replacements.insert((**task).clone());
            }
            Fact::Stopped { machines } => self.each(machines, |state, machine| {
                state.cut_off(machine, at);
                state.machines[machine].interrupt();
            }),
            Fact::Started { machines } => self.each(machines, |state, machine| state.take_up(machine, at)),
            Fact::Rebooted { machines } => self.each(machines, |_, _| {}),
            Fact::ProgramStarted { token, ended, code, machine, changes, .. } => {
                if let Some(machine) = machine.as_ref().and_then(|id| self.touch(id)) {
                    self.expect(machine, changes);
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
        self.settle(at);
    }

    fn each(&mut self, machines: &Changes, prepare: impl Fn(&mut Self, usize)) {
        for (id, changes) in machines {
            if let Some(machine) = self.touch(id) {
                prepare(self, machine);
                self.expect(machine, changes);
            }
        }
    }

    /// A machine is started: it boots from the root volume that it has now.
    fn take_up(&mut self, machine: usize, at: Timestamp) {
        let root = self.root(machine).and_then(|id| self.disks.volumes.get(id));
        let content = root.map(|root| root.content);
        let condition = self.machines[machine].condition_mut();
        if let Some(content) = content {
            condition.content = content;
        }
        condition.starts += 1;
        condition.launched_at = at;
    }

    fn command_sent(&mut self, command: &Command) {
        self.named += 1;
        let patching = command.work.patches();
        for (number, part) in command.parts.iter().enumerate() {
            if let Some(machine) = self.touch(&part.machine) {
                self.expect(machine, &part.changes);
                let runs =
                    |(other, part): &(usize, usize)| self.commands[*other].parts[*part].shown > command.at;
                self.machines[machine].parts.retain(runs);
                self.machines[machine].parts.push((self.commands.len(), number));
                if patching && part.started.is_some() {
                    let machine = &mut self.machines[machine];
                    machine.patching_until = machine.patching_until.max(Some(part.ended));
                }
            }
        }
        self.command_index.insert(command.id.clone(), self.commands.len());
        self.commands.push(command.clone());
    }

    /// What runs on a machine ends with it, and nobody is told how: the service gives it up at last
    /// (facts: Time limits of a command).
    fn cut_off(&mut self, machine: usize, at: Timestamp) {
        for (command, part) in std::mem::take(&mut self.machines[machine].parts) {
            self.commands[command].cut_off(part, at);
        }
    }

    fn command_cancelled(&mut self, at: Timestamp, id: &str, machines: &[TargetId]) {
        let Some(place) = self.command_index.get(id).copied() else { return };
        let Command { work, parts, cancelled, .. } = &mut self.commands[place];
        *cancelled = Some(at);
        let mut undone = Vec::new();
        for part in parts.iter_mut().filter(|part| machines.is_empty() || machines.contains(&part.machine)) {
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

    /// The Availability Zone of a machine.
    pub fn zone(&self, machine: usize) -> String {
        format!("{}{}", self.roster.place(machine).region(), self.roster.group(machine).zone)
    }

    /// A new id.
    pub fn name(&self, prefix: &str) -> String {
        self.nth_name(prefix, 0)
    }

    /// One of several new ids.
    pub fn nth_name(&self, prefix: &str, nth: u64) -> String {
        format!("{prefix}{:017x}", self.named + nth)
    }

    pub fn struck_so_far(&self, rule: u32, machine: Option<&TargetId>) -> u32 {
        self.strikes.get(&(rule, machine.cloned())).copied().unwrap_or(0)
    }

    pub fn command(&self, id: &str) -> Option<&Command> {
        self.command_index.get(id).map(|place| &self.commands[*place])
    }

    /// A machine that something is done to.
    pub fn touch(&mut self, id: &TargetId) -> Option<usize> {
        let place = self.roster.by_id(id)?;
        self.machines[place].effects += 1;
        Some(place)
    }

    /// Whether a machine is gone for everybody.
    pub fn is_gone(&self, machine: usize, now: Timestamp, at_its_wave: bool) -> bool {
        let start = self.roster.file.start;
        self.roster.rules_for(machine, RuleKind::Missing, None).any(|(_, rule)| match rule.after {
            None => at_its_wave,
            Some(after) => now >= later(start, after.get()),
        })
    }
}
