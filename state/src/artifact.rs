//! The artifact ledger: what runs made, or were about to make, that costs money until it is deleted.
//!
//! A row is written in the batch of the journal entry that it comes from, so it is there exactly when the entry is. What
//! `gc` did is written to the row alone, beside the journal.

use jiff::Timestamp;
use runbook_engine::{
    artifact::ArtifactKind,
    ids::{RunId, TargetId, TaskName},
    run::event::Event,
    target::Home,
};
use serde::{Deserialize, Serialize};

/// One thing that a run made, or was about to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRow {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// The token of the call: its tag `runbook:token`.
    pub token: String,
    /// What.
    pub kind: ArtifactKind,
    /// Its id (an ARN for a recovery point); absent while it is only intended.
    pub id: Option<String>,
    /// The machine that it is of; absent while it is only intended for several.
    pub target: Option<TargetId>,
    /// Where it is; absent while it is only intended: then it is where the plan has the machine.
    pub home: Option<Home>,
    /// The vault of a recovery point.
    pub vault: Option<String>,
    /// Its size in GiB, as far as it is known.
    pub size_gib: Option<u64>,
    /// When it was made, or intended, by the clock of the run's world.
    pub made_at: Timestamp,
    /// When it is no longer needed; absent: somebody must say so.
    pub expires: Option<Timestamp>,
    /// How far it got.
    pub state: ArtifactState,
    /// What `gc` did last; absent: nothing.
    pub gc: Option<Collection>,
}

/// How far an artifact got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactState {
    /// The call that makes it was about to be made; whether it was, only the outside world knows.
    Intended,
    /// It is there.
    Made,
    /// It is not there any more, or never was.
    Deleted,
}

impl ArtifactState {
    /// The word used in JSON and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Made => "made",
            Self::Deleted => "deleted",
        }
    }
}

/// What `gc` did with an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// When, by the clock of the run's world.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What came of it.
    pub end: CollectionEnd,
    /// Why, where it is still there.
    pub note: Option<String>,
}

/// What came of an attempt to collect an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectionEnd {
    /// It was deleted.
    Deleted,
    /// Somebody else had deleted it.
    Gone,
    /// It was intended, and never made.
    NeverMade,
    /// It is still there: it is in use, is not ours by its tags, or could not be deleted.
    Kept,
}

impl CollectionEnd {
    /// The word used in JSON and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Gone => "gone",
            Self::NeverMade => "never_made",
            Self::Kept => "kept",
        }
    }
}

/// The rows that an entry of a journal brings. An intended row is replaced by the rows of what its call made, which have
/// its token.
pub fn rows_of(run: &RunId, at: Timestamp, event: &Event) -> Vec<ArtifactRow> {
    match event {
        Event::IntentRecorded { task, token, targets, makes: Some(makes), .. } => vec![ArtifactRow {
            run: run.clone(),
            task: task.clone(),
            token: token.clone(),
            kind: makes.kind,
            id: None,
            target: match targets.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            },
            home: None,
            vault: None,
            size_gib: None,
            made_at: at,
            expires: makes.expires,
            state: ArtifactState::Intended,
            gc: None,
        }],
        Event::ArtifactsMade { task, artifacts, .. } => artifacts
            .iter()
            .map(|made| ArtifactRow {
                run: run.clone(),
                task: task.clone(),
                token: made.token.clone(),
                kind: made.kind,
                id: Some(made.id.clone()),
                target: Some(made.target.clone()),
                home: Some(made.home.clone()),
                vault: made.vault.clone(),
                size_gib: made.size_gib,
                made_at: at,
                expires: made.expires,
                state: ArtifactState::Made,
                gc: None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
