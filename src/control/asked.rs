//! What a client asks, and what it is answered, inside the process.

use jiff::Timestamp;
use runbook_engine::{ids::RunId, plan::Plan};
use runbook_state::store::{Entry, RunRow};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, oneshot, watch};

use super::{
    order::{Order, Told},
    peer::Peer,
};
use crate::artifacts::books::Books;
use crate::coordinator::{live::Progress, observer::Heard, refused::Refused};

/// What a client asks, as it goes through the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// The runs.
    Runs,
    /// The ledger of artifacts.
    Books,
    /// A journal from an entry on.
    Journal {
        /// Id or prefix; absent: the only unfinished, else the newest.
        run: Option<String>,
        /// From 1.
        from: u64,
        /// The plan too.
        plan: bool,
    },
    /// Tell a run something.
    Tell {
        /// As above.
        run: Option<String>,
        /// What.
        order: Order,
    },
    /// Go on with a run that this process does not advance, or lift its pause.
    Resume {
        /// As above.
        run: Option<String>,
    },
    /// Take over a plan and run it.
    Submit {
        /// The frozen plan.
        plan: Box<Plan>,
        /// `--expect-plan`.
        expect_plan: Option<String>,
        /// `--at`.
        not_before: Option<Timestamp>,
        /// The environment that it was planned in.
        environment: String,
    },
}

/// A question with its sender, in the coordinator's queue.
pub(crate) struct Asked {
    pub peer: Peer,
    pub ask: Ask,
    pub answer: oneshot::Sender<Result<Answered, Refused>>,
}

/// How many entries the process that holds the store reads for a client at a time: its runs wait that long.
pub(crate) const MOST_ENTRIES: usize = 1_000;

/// What the coordinator answers.
pub(crate) enum Answered {
    /// The runs that the peer may see.
    Runs(Vec<RunRow>),
    /// The ledger of artifacts.
    Books(Box<Books>),
    /// A journal.
    Journal {
        /// Its row.
        row: Box<RunRow>,
        /// Its plan, if asked for.
        plan: Option<Box<Plan>>,
        /// The entries, [`MOST_ENTRIES`] of them at most: then there may be more.
        entries: Vec<Entry>,
        /// How far it gets, while this process advances it.
        progress: Option<watch::Receiver<Progress>>,
        /// What machines print meanwhile.
        heard: Option<broadcast::Receiver<Heard>>,
    },
    /// It is durable.
    Told(Told),
    /// This process advances the run.
    Advancing(RunId),
}
