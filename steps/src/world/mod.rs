//! The simulated world: machines, services and people behind the same ports as the real ones.
//!
//! A [`World`] is one state machine. What is asked of it and what the fleet file says decides, at that moment, all
//! that follows (when a command ends, how, and what it leaves behind); everything that is read later is a function of
//! these facts and of the world's time. The facts stand in a file of their own, one line each, on the disk before a
//! call is answered: a process that is killed finds its commands still running, or ended, as in the real world. While
//! no process lives, the world stands still.

mod account;
mod alarm;
mod attachment;
mod aws_backup;
mod backup_job;
mod beginning;
mod calling;
mod calls;
mod chance;
mod command;
mod disk_fact;
mod door;
mod durations;
mod elastic;
mod fault_rule;
mod fleet;
mod foreign;
mod hardware;
mod host;
mod image;
mod instance;
mod inventory;
mod linux;
mod listing;
mod log;
mod machine;
mod part;
mod people;
mod place;
mod playbook;
mod recovery_point;
mod refusal;
mod remote;
mod replacement;
mod restore_job;
mod roster;
mod run_command;
mod sending;
mod serving;
mod shelf;
mod snapshot;
mod state;
mod strike;
#[cfg(test)]
mod tests;
mod time;
mod token;
mod truth;
mod vault;
mod volume;
mod wire;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::ids::{TargetId, TaskName};
use tokio::sync::watch;

pub use self::{
    account::{Account, Agent, Alarm, SendRequest, SentCommand, SentPart},
    calls::{CALLS_WITHOUT_MACHINES, Call, CallLog, OPERATIONS, WRITING_CALLS},
    durations::{Durations, Lasting, SpanRange},
    fault_rule::{FaultRule, RuleKind},
    fleet::{FleetFile, MachineGroup, MachineKind, PendingPatches},
    linux::{PackageEntry, package_manager},
    people::{Answer, Person, Reply},
    remote::{Held, RemoteTime},
    roster::FleetError,
    time::runtime,
    truth::WayBack,
    wire::{StateChange, Tagged},
};
use self::{
    door::Door,
    fault_rule::Label,
    log::{Line, LogFile},
    place::Place,
    roster::Roster,
    state::{Fact, State},
    time::WorldTime,
};
use crate::ports::Ports;

/// How a world is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorldOptions {
    /// What durations and draws come from. A state file that is there already keeps its own.
    pub seed: u64,
    /// World seconds per real second; 0: it stands still unless it is moved. `None`: the world jumps, and the runtime
    /// must be one of [`runtime`].
    pub speed: Option<u32>,
}

/// Before or after an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The effect does not take place.
    Before,
    /// It took place, and nobody was told.
    After,
}

/// A simulated world.
#[derive(Debug)]
pub struct World {
    inner: Mutex<Inner>,
    time: WorldTime,
    crashed: watch::Sender<bool>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    file: Option<LogFile>,
    calls: CallLog,
    /// Reads, by call.
    reads: BTreeMap<&'static str, u64>,
    /// The time that the file knows.
    recorded: Timestamp,
    /// How many effects from now the process "dies".
    crash: Option<(u64, Moment)>,
}

impl World {
    /// Opens the world that a fleet file describes. With a state file it goes on where that one ends, at the time
    /// where it stood still.
    ///
    /// # Errors
    /// The fleet file is wrong, or the state file cannot be used.
    pub fn open(
        fleet: &str,
        state_file: Option<&Path>,
        options: WorldOptions,
    ) -> Result<Arc<Self>, FleetError> {
        let (mut file, lines) = match state_file.map(LogFile::open).transpose()? {
            Some((file, lines)) => (Some(file), lines),
            None => (None, Vec::new()),
        };
        let seed = match lines.first().map(|line| &line.fact) {
            Some(Fact::Began { seed, .. }) => *seed,
            _ => options.seed,
        };
        let roster = Roster::of(FleetFile::read(fleet)?, seed)?;
        let mut now = roster.file.start;
        let mut state = State::new(roster, seed);
        if lines.is_empty()
            && let Some(file) = &mut file
        {
            let fleet = state.roster.file.fleet.clone();
            file.append(&Line::new(now, None, Fact::Began { format: log::FORMAT, fleet, seed }), true)?;
        }
        let mut calls = CallLog::default();
        for line in &lines {
            now = now.max(line.at);
            state.note_strikes(&line.struck);
            state.apply(line.at, &line.fact);
            calls.calls.extend(calls::call(line));
        }
        let inner = Inner { state, file, calls, reads: BTreeMap::new(), recorded: now, crash: None };
        Ok(Arc::new(Self {
            inner: Mutex::new(inner),
            time: WorldTime::new(now, options.speed),
            crashed: watch::Sender::new(false),
        }))
    }

    /// A world without a file, that jumps: for rehearsals and tests.
    ///
    /// # Errors
    /// The fleet file is wrong.
    pub fn in_memory(fleet: &str, seed: u64) -> Result<Arc<Self>, FleetError> {
        Self::open(fleet, None, WorldOptions { seed, speed: None })
    }

    /// The same, of a fleet that was read before: for many worlds of one fleet, each with faults of its own.
    ///
    /// # Errors
    /// The fleet makes no sense.
    pub fn of(fleet: FleetFile, seed: u64) -> Result<Arc<Self>, FleetError> {
        let state = State::new(Roster::of(fleet, seed)?, seed);
        let now = state.roster.file.start;
        let calls = CallLog::default();
        let inner = Inner { state, file: None, calls, reads: BTreeMap::new(), recorded: now, crash: None };
        Ok(Arc::new(Self {
            inner: Mutex::new(inner),
            time: WorldTime::new(now, None),
            crashed: watch::Sender::new(false),
        }))
    }

    /// The ports of this world, for whoever is no attempt of a task: inventories, notifications.
    pub fn ports(self: &Arc<Self>) -> Ports {
        Door::ports(self, None)
    }

    /// The ports of this world for one attempt of a task, so that the fleet's faults can name the step.
    pub fn ports_for(self: &Arc<Self>, task: &TaskName, attempt: u32) -> Ports {
        Door::ports(self, Some(Label { task: task.to_string(), attempt }))
    }

    /// One account and Region of this world. What is unknown to the fleet is empty, not an error.
    pub fn account(self: &Arc<Self>, account: &str, region: &str) -> Account {
        let place = Place { account: Some(account.to_owned()), region: Some(region.to_owned()) };
        Account::new(self, None, place)
    }

    /// What people say to a gate (a task's name) that opened at this time, in the order in which it comes. Asking
    /// twice gives the same.
    pub fn people_for(&self, gate: &str, opened_at: Timestamp) -> Vec<Answer> {
        people::answers(&self.lock().state.roster.file.people, gate, opened_at)
    }

    /// Looks at every call that wrote, so far.
    pub fn look_at_calls<T>(&self, look: impl FnOnce(&CallLog) -> T) -> T {
        look(&self.lock().calls)
    }

    /// Every call that wrote, so far.
    pub fn calls(&self) -> CallLog {
        self.lock().calls.clone()
    }

    /// How often each call that only reads was made in this process.
    pub fn reads(&self) -> BTreeMap<&'static str, u64> {
        self.lock().reads.clone()
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// The world does not stand before this time: the last entry of the journal of whoever goes on in it.
    pub fn advance_to(&self, at: Timestamp) {
        self.time.advance_to(at);
    }

    /// No process lives any more: the world stands where it is until the next one asks. To be said in the runtime that
    /// the last one lived in.
    pub fn rest(&self) {
        self.time.rest();
    }

    /// The fleet's name, and what it shows.
    pub fn about(&self) -> (String, Option<String>) {
        let file = &self.lock().state.roster.file;
        (file.fleet.clone(), file.description.clone())
    }

    /// The seed that is in force.
    pub fn seed(&self) -> u64 {
        self.lock().state.seed
    }

    /// The speed that the fleet file asks for where somebody watches.
    pub fn speed_for_watchers(&self) -> Option<u32> {
        self.lock().state.roster.file.speed
    }

    /// `Settings::settle` of this world.
    pub fn settle(&self) -> Duration {
        self.lock().state.roster.file.settle.get()
    }

    /// The id of the machine with this name, id or address.
    pub fn machine(&self, name: &str) -> Option<TargetId> {
        let inner = self.lock();
        inner.state.roster.find(name).map(|place| inner.state.roster.machines[place].id.clone())
    }

    /// The machines that this names, as in the faults of a fleet file: a name, an id, a group, or `group/3` for the third
    /// of a group.
    ///
    /// # Errors
    /// It names none, and why.
    pub fn machines_named(&self, target: &str) -> Result<Vec<TargetId>, String> {
        let roster = &self.lock().state.roster;
        let places = roster.named(target)?;
        Ok(places.into_iter().map(|place| roster.machines[place].id.clone()).collect())
    }

    /// Whether a machine would answer its checks now.
    pub fn is_healthy(&self, name: &str) -> Option<bool> {
        let now = self.now();
        let inner = &mut *self.lock();
        let place = inner.state.roster.find(name)?;
        inner.state.settle(now);
        Some(inner.state.machines[place].condition().is_well())
    }

    /// From now on the `n`-th call that writes (from 0) is the last: it, and every one after it, never returns. Tests
    /// drop what they run when [`World::crashed`] completes, and begin the next life after [`World::revive`].
    pub fn crash_at(&self, n: u64, moment: Moment) {
        self.lock().crash = Some((n, moment));
    }

    /// Completes when the crash came.
    pub async fn crashed(&self) {
        let mut crashed = self.crashed.subscribe();
        // The sender is ours: it cannot be gone.
        let _ = crashed.wait_for(|crashed| *crashed).await;
    }

    /// Whether the crash came.
    pub fn has_crashed(&self) -> bool {
        *self.crashed.borrow()
    }

    /// The next life begins.
    pub fn revive(&self) {
        self.lock().crash = None;
        self.crashed.send_replace(false);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Sleeps, and lets the file know how far time went.
    async fn sleep(&self, time: Duration) {
        self.time.sleep(time).await;
        let now = self.now();
        let inner = &mut *self.lock();
        if now > inner.recorded && inner.file.is_some() && !self.has_crashed() {
            // A world that cannot note the time says so at its next effect.
            let _ = inner.write(&Line::new(now, None, Fact::Passed), false);
        }
    }
}

impl Inner {
    fn write(&mut self, line: &Line, sync: bool) -> Result<(), FleetError> {
        if let Some(file) = &mut self.file {
            file.append(line, sync)?;
        }
        self.recorded = self.recorded.max(line.at);
        Ok(())
    }
}
