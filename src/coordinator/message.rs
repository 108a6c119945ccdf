//! What comes into the coordinator's queue.

use runbook_engine::{
    ids::{RunId, ScopeName, TaskName},
    run::event::Event,
};
use runbook_steps::action::Failure;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{inspection::Inspection, observer::Heard, refused::Refused};
use crate::control::{
    asked::{Answered, Asked},
    order::Told,
};

/// Something that comes into the queue. The queue has no bound of its own: whoever sends a fact waits for its answer,
/// so that it never holds more than there are calls under way.
pub(crate) enum Message {
    /// Something happened in a run.
    Fact(RunId, Fact),
    /// An execution ended.
    Ended { run: RunId, task: TaskName, attempt: u32, end: End },
    /// The machines of a wave were looked at.
    Inspected { run: RunId, scope: ScopeName, seen: Inspection },
    /// A notification is done with; the cause if it could not be delivered.
    Notified { run: RunId, number: u64, failure: Option<String> },
    /// A machine printed a line.
    Heard(RunId, Heard),
    /// A client asks.
    Asked(Asked),
    /// Followers had their time to read what was last written.
    Close,
}

/// An event that waits to be admitted, and who wants to know that it is durable.
pub(crate) struct Fact {
    pub event: Event,
    pub answer: Answer,
}

/// Who wants to know that a fact is durable, or that it is refused.
pub(crate) enum Answer {
    /// Nobody.
    Nobody,
    /// An action, through its ledger.
    Ledger(oneshot::Sender<Result<(), Failure>>),
    /// A person, with what to say when it is done.
    Person(oneshot::Sender<Result<Told, Refused>>, Told),
    /// A client whose run begins or goes on with this fact.
    Client(oneshot::Sender<Result<Answered, Refused>>, Answered),
}

impl Fact {
    /// A fact that nobody waits for.
    pub fn of(event: Event) -> Self {
        Self { event, answer: Answer::Nobody }
    }
}

impl Answer {
    /// It is durable.
    pub fn written(self) {
        // Who asked may be gone by now: then nobody needs the answer.
        match self {
            Self::Nobody => {}
            Self::Ledger(to) => drop(to.send(Ok(()))),
            Self::Person(to, told) => drop(to.send(Ok(told))),
            Self::Client(to, answered) => drop(to.send(Ok(answered))),
        }
    }

    /// The core does not accept it.
    pub fn illegal(self, why: String) {
        match self {
            Self::Nobody => {}
            Self::Ledger(to) => drop(to.send(Err(Failure::failed(format!("our bug: {why}"))))),
            Self::Person(to, _) => drop(to.send(Err(Refused::NotNow { why, hint: None }))),
            Self::Client(to, _) => drop(to.send(Err(Refused::NotNow { why, hint: None }))),
        }
    }

    /// The process is stopping.
    pub fn detached(self) {
        match self {
            Self::Nobody => {}
            Self::Ledger(to) => drop(to.send(Err(Failure::Detached))),
            Self::Person(to, _) => drop(to.send(Err(Refused::Stopping))),
            Self::Client(to, _) => drop(to.send(Err(Refused::Stopping))),
        }
    }
}

/// How an execution ended.
pub(crate) enum End {
    /// The action came back.
    Returned(Result<Value, Failure>),
    /// It panicked.
    Panicked,
}
