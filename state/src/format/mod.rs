//! What is on the drive.
//!
//! A state folder (mode 0700) holds
//!
//! | name | what |
//! | --- | --- |
//! | `FORMAT` | JSON, `{"format":2,"needs":"0.1.0","store":"ID"}`: the layout's number, the oldest version that reads it, and what the folder is called wherever it is moved to |
//! | `LOCK` | empty; its holder has an exclusive `flock` on it |
//! | `HEAD` | how far each run was acknowledged, see [`crate::disk::head`] |
//! | `plans/SHA256.json` | each plan, canonical JSON, named by its digest |
//! | `states/RUN` | what the core said of a long run behind one of its entries, see [`kept`]: a cache, which can be removed |
//! | `db`, `conf`, `blobs/`, `snap.*` | sled's own files |
//!
//! Layout 1 had no artifacts and no id; a folder of that layout is given an id, and is of layout 2 from then on.
//!
//! sled holds five kinds of records, told apart by the first byte of the key. RUN and MACHINE are names as text; SEQ is
//! the number of its bytes, then the number without leading zeros; COMMIT has eight bytes and PART four; all big-endian,
//! so that they sort; TOKEN and ID are texts. Keys are short because sled writes them again and again, in the nodes above them.
//!
//! | key | value |
//! | --- | --- |
//! | `j` RUN 0 SEQ | the batch whose first entry is SEQ |
//! | `j` RUN 0 SEQ PART | a further part of a batch that is longer than 4 KiB (PART begins at 1) |
//! | `r` RUN | the run's row, JSON ([`StoredRow`]) |
//! | `h` RUN 0 COMMIT PART | a part of the machines that the run holds, a JSON list, as of COMMIT |
//! | `s` RUN 0 MACHINE 0 COMMIT | a resolution, JSON ([`StoredResolution`]) |
//! | `a` RUN 0 TOKEN 0 ID | an artifact, JSON ([`StoredArtifact`]); without ID, one that is only intended |
//!
//! A batch is one value, so that the ordinary step costs one sled record: a byte that says what follows (1: all of
//! it; 2: its length, then its first part), epoch, commit, time (nanoseconds since 1970, zigzag), number of entries,
//! each entry's length and event, and the hash of the last entry. Numbers are LEB128. An event is canonical JSON with
//! its names kept, in which each of 32 words stands as one byte; put back, they are exactly the bytes that were hashed.
//! So any version and any tool can read an event, and it need not be written anew to be verified. Sequence numbers and the hashes in between follow from the key and from the chain,
//! so they are not stored. Parts keep a page of sled's (at most 17 records) under the size at which it would put the
//! page into a file of its own, which it does not sync.
//!
//! COMMIT counts the batches of a run from 1, those without entries (a row, a resolution) included.

mod batch;
pub mod kept;
mod key;
mod number;
mod parts;

use jiff::Timestamp;
use runbook_engine::{
    artifact::ArtifactKind,
    ids::{RunId, TargetId, TaskName},
    target::Home,
};
use serde::{Deserialize, Serialize};

pub(crate) use batch::Batch;
pub use batch::Malformed;
pub(crate) use key::{
    ARTIFACTS, RESOLUTIONS, ROWS, artifact_key, artifacts_of, batch_key, batches_of, holds_of,
    resolution_key, row_key, seq_of,
};
pub(crate) use parts::{Joining, cut, holds};

use crate::{
    artifact::{ArtifactRow, ArtifactState, Collection},
    chain,
    store::{Entry, Resolution, RunRow},
};

/// The layout that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 2;

/// The oldest version of runbook that reads what this one writes.
pub const NEEDS: &str = "0.1.0";

/// The file `FORMAT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatFile {
    /// The layout's number.
    pub format: u32,
    /// The oldest version that reads it.
    pub needs: String,
    /// The folder's id, from layout 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// A [`RunRow`] on the drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRow {
    commit: u64,
    run: RunId,
    runbook: String,
    status: String,
    exit: Option<u8>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    plan: String,
    plan_file: String,
    holds_commit: Option<u64>,
    linked_to: Option<RunId>,
    world: Option<String>,
}

impl StoredRow {
    pub(crate) fn new(row: &RunRow, plan_file: String, holds_commit: Option<u64>, commit: u64) -> Self {
        let RunRow { run, runbook, status, exit, started_at, finished_at, plan, holds: _, linked_to, world } =
            row.clone();
        Self {
            commit,
            run,
            runbook,
            status,
            exit,
            started_at,
            finished_at,
            plan,
            plan_file,
            holds_commit,
            linked_to,
            world,
        }
    }

    /// The same row, as of a later commit.
    pub(crate) fn at_commit(self, commit: u64) -> Self {
        Self { commit, ..self }
    }

    pub(crate) fn commit(&self) -> u64 {
        self.commit
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.run
    }

    /// SHA-256 of the plan's file, hex.
    pub(crate) fn plan_file(&self) -> &str {
        &self.plan_file
    }

    /// The commit that wrote the list of machines; absent: the list is empty.
    pub(crate) fn holds_commit(&self) -> Option<u64> {
        self.holds_commit
    }

    pub(crate) fn into_row(self, holds: Vec<TargetId>) -> RunRow {
        let Self { run, runbook, status, exit, started_at, finished_at, plan, linked_to, world, .. } = self;
        RunRow { run, runbook, status, exit, started_at, finished_at, plan, holds, linked_to, world }
    }
}

/// A [`Resolution`] on the drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredResolution {
    commit: u64,
    run: RunId,
    target: TargetId,
    at: Timestamp,
    by: String,
    note: Option<String>,
}

impl StoredResolution {
    pub(crate) fn new(resolution: &Resolution, commit: u64) -> Self {
        let Resolution { run, target, at, by, note } = resolution.clone();
        Self { commit, run, target, at, by, note }
    }

    pub(crate) fn commit(&self) -> u64 {
        self.commit
    }

    pub(crate) fn into_resolution(self) -> Resolution {
        let Self { commit: _, run, target, at, by, note } = self;
        Resolution { run, target, at, by, note }
    }
}

/// An [`ArtifactRow`] on the drive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredArtifact {
    run: RunId,
    task: TaskName,
    token: String,
    kind: ArtifactKind,
    id: Option<String>,
    target: Option<TargetId>,
    home: Option<Home>,
    vault: Option<String>,
    size_gib: Option<u64>,
    made_at: Timestamp,
    expires: Option<Timestamp>,
    state: ArtifactState,
    gc: Option<Collection>,
}

impl StoredArtifact {
    pub(crate) fn new(row: &ArtifactRow) -> Self {
        let ArtifactRow {
            run,
            task,
            token,
            kind,
            id,
            target,
            home,
            vault,
            size_gib,
            made_at,
            expires,
            state,
            gc,
        } = row.clone();
        Self { run, task, token, kind, id, target, home, vault, size_gib, made_at, expires, state, gc }
    }

    pub(crate) fn into_row(self) -> ArtifactRow {
        let Self { run, task, token, kind, id, target, home, vault, size_gib, made_at, expires, state, gc } =
            self;
        ArtifactRow { run, task, token, kind, id, target, home, vault, size_gib, made_at, expires, state, gc }
    }
}

/// Reads the record of a journal's first batch. For fuzzing: whatever the bytes are, it returns.
///
/// # Errors
/// [`Malformed`].
pub fn decode(record: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let mut entries = Vec::new();
    Batch::read(record)?.entries(1, &chain::BEGINNING, &mut |entry| entries.push(entry))?;
    Ok(entries)
}
