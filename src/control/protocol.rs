//! What goes through the socket: lines of JSON, each with the version of the protocol.

use runbook_engine::{ids::RunId, plan::Plan};
use runbook_state::store::{Entry, RunRow};
use serde::{Deserialize, Serialize};

use super::{asked::Ask, order::Told};
use crate::artifacts::books::Books;
use crate::coordinator::{exit::ExitReport, observer::Heard, refused::RefusedLine};

/// The version of what follows. A client of another one is refused.
pub(super) const VERSION: u32 = 1;

/// The longest request of the owner: a frozen plan of ten thousand machines is some ten megabytes.
pub(super) const LONGEST_PLAN: u64 = 256 << 20;

/// The longest request of anybody else.
pub(super) const LONGEST_REQUEST: u64 = 64 << 10;

/// A request.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub version: u32,
    pub ask: Ask,
    /// Journals: go on sending entries until this process is done with the run.
    #[serde(default)]
    pub follow: bool,
    /// And what machines print meanwhile.
    #[serde(default)]
    pub hear: bool,
}

impl Request {
    /// Reads a line that a client sent.
    ///
    /// # Errors
    /// Why it is no request of this version.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        let request: Self = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if request.version == VERSION {
            Ok(request)
        } else {
            Err("the two programs are of different versions".to_owned())
        }
    }
}

/// Whether a line that came through the socket is a request that its other end takes; what it is refused with, if not.
///
/// # Errors
/// Why not.
pub fn accepts(line: &[u8]) -> Result<(), String> {
    Request::read(line).map(drop)
}

/// A line of an answer. Each answer ends with [`Line::End`], [`Line::Refused`], or the end of the connection.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(super) enum Line {
    /// A run; of a journal, its own.
    Run { row: Box<RunRow> },
    /// The ledger of artifacts.
    Books { books: Box<Books> },
    /// The plan of the journal.
    Plan { plan: Box<Plan> },
    /// An entry of the journal.
    Entry { entry: Box<Entry> },
    /// A machine printed this; only for those who asked to hear it.
    Heard { heard: Heard },
    /// The order is durable.
    Told { told: Told },
    /// The process advances the run.
    Advancing { run: RunId },
    /// The process is done with the run.
    Report { report: ExitReport },
    /// It is refused.
    Refused { refused: RefusedLine },
    /// That was all.
    End,
}
