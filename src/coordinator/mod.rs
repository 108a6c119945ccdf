//! The coordinator: the single owner of a store and its runs, on a current-thread runtime.
//!
//! [`Coordinator::drive`] waits for facts (from actions, clients, the clock), takes all that wait, and advances the
//! runs that they concern; `advance` is the one function that does so. The command line calls [`session::run`] and
//! [`session::resume`]; everything else goes through [`crate::control::client`]. All of these are synchronous: they make
//! the runtime that their world needs. To plan, [`crate::world::planning`] gives the ports.

mod advance;
mod drive;
mod execution;
pub mod exit;
mod hear;
pub(crate) mod holds;
mod inspection;
pub(crate) mod interrupts;
mod ledger;
pub(crate) mod live;
pub mod mask;
pub(crate) mod message;
mod notification;
pub mod observer;
pub(crate) mod offline;
pub(crate) mod orders;
pub mod outside;
mod people;
mod precaution;
pub mod refused;
pub mod replay;
pub mod secrets;
pub mod session;
mod set_back;
mod since;
mod start;
#[cfg(test)]
pub(crate) mod tests;
mod way_back;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::ids::RunId;
use runbook_state::store::RunStore;
use runbook_steps::{catalog::Actions, context::Settings, ports::clock::Clock};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::{
    execution::Surroundings, live::Live, message::Message, observer::Observer, outside::Outside,
    secrets::Secrets,
};
pub use self::{
    interrupts::{Interrupts, listen},
    start::Start,
};

/// How long the coordinator sleeps at a time at most in the real world: a machine that was suspended, or whose clock
/// was set, is noticed then.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// After so many entries the state of a run is kept, so that a resume has fewer than twice as many to replay. Keeping the
/// state of 10,000 machines takes as long as a few hundred durable batches.
const KEEP_EVERY: u64 = 10_000;

/// What a coordinator is made of.
pub struct Parts {
    /// All runs.
    pub store: Box<dyn RunStore>,
    /// The world that they work in.
    pub outside: Outside,
    /// What it can do.
    pub actions: Actions,
    /// Limits and times.
    pub settings: Settings,
    /// Secrets, and what takes them out of the journal.
    pub secrets: Secrets,
    /// Told to stop.
    pub interrupts: Interrupts,
    /// How many executions at a time in one run; 64 unless there is a reason.
    pub capacity: usize,
    /// The state folder, for messages.
    pub state: PathBuf,
    /// The environment: account, role, profile, endpoint; or the simulated world. Plans of another one are refused.
    pub environment: String,
    /// The simulated world's name in the state folder.
    pub world: Option<String>,
    /// The uid that owns the state folder.
    pub owner: u32,
}

/// The single owner of a store and of its runs in this process.
pub struct Coordinator<'o> {
    store: Box<dyn RunStore>,
    actions: Actions,
    around: Surroundings,
    clock: Arc<dyn Clock>,
    interrupts: Interrupts,
    capacity: usize,
    state: PathBuf,
    environment: String,
    world: Option<String>,
    owner: u32,
    longest_sleep: Duration,
    keep_every: u64,
    queue: UnboundedReceiver<Message>,
    runs: BTreeMap<RunId, Live>,
    /// In the order in which they came.
    order: Vec<RunId>,
    /// Told to stop; what is under way is waited for until then.
    stopping: Option<Timestamp>,
    /// Followers had their time.
    closed: bool,
    /// By how much it was said that the clock was set back.
    told_ahead: SignedDuration,
    observer: &'o mut dyn Observer,
}

impl<'o> Coordinator<'o> {
    /// A coordinator without a run.
    pub fn new(parts: Parts, observer: &'o mut dyn Observer) -> Self {
        let (sender, queue) = unbounded_channel();
        let longest_sleep = match parts.outside {
            Outside::Real(_) => LONGEST_SLEEP,
            Outside::Simulated(_) | Outside::Sandboxed(_) => Duration::MAX,
        };
        let store = Arc::from(parts.store.id());
        Self {
            store: parts.store,
            actions: parts.actions,
            clock: parts.outside.ports().clock,
            around: Surroundings {
                outside: parts.outside,
                settings: Arc::new(parts.settings),
                store,
                secrets: Arc::new(parts.secrets),
                queue: sender,
            },
            interrupts: parts.interrupts,
            capacity: parts.capacity,
            state: parts.state,
            environment: parts.environment,
            world: parts.world,
            owner: parts.owner,
            longest_sleep,
            keep_every: KEEP_EVERY,
            queue,
            runs: BTreeMap::new(),
            order: Vec::new(),
            stopping: None,
            closed: false,
            told_ahead: SignedDuration::ZERO,
            observer,
        }
    }

    /// Nobody is going to resume these runs: their state need not be kept.
    pub(crate) fn without_kept_states(self) -> Self {
        Self { keep_every: u64::MAX, ..self }
    }

    /// The other end of the queue.
    pub(crate) fn sender(&self) -> UnboundedSender<Message> {
        self.around.queue.clone()
    }

    /// Says something to whoever watches.
    pub(crate) fn notice(&mut self, text: &str) {
        self.observer.notice(text);
    }

    /// How many durable batches this opening of the store wrote.
    pub fn batches(&self) -> u64 {
        self.store.batches()
    }

    /// The store, when nothing is driven any more.
    pub fn into_store(self) -> Box<dyn RunStore> {
        self.store
    }

    /// Answers the questions of those who still read what was last written, until `open` says that nobody does or
    /// they had their time ([`Message::Close`]).
    pub(crate) async fn farewell(&mut self, open: impl Fn() -> bool) {
        // Nobody drives a run any more: what is asked for now is for the next process.
        self.stopping = Some(Timestamp::MIN);
        while open() && !self.closed {
            match self.queue.recv().await {
                Some(Message::Asked(asked)) => self.hear(asked),
                Some(Message::Close) => self.closed = true,
                Some(Message::Fact(_, fact)) => fact.answer.detached(),
                Some(_) => {}
                None => return,
            }
        }
    }
}
