//! What takes place on hosts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::stock::Stock;
use crate::{
    ports::linux::Ended,
    world::machine::{Change, Content},
};

/// One effect on a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostFact {
    /// A job was started.
    Started(Box<HostJob>),
    /// It was asked to end.
    Ended { token: String, machine: TargetId },
    /// What the host kept of it was deleted.
    Forgotten { token: String, machine: TargetId },
}

/// A job, with all that will become of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostJob {
    pub token: String,
    pub run: String,
    pub machine: TargetId,
    /// What it does, in one word.
    pub deed: String,
    /// It changes the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub end: JobEnd,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<(Timestamp, Change)>,
    /// What it makes, or takes away, beside that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<Keeps>,
}

/// How a job ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// It ends.
    Ended(Ended),
    /// It leaves no result.
    Lost {
        /// The host went down.
        rebooted: bool,
    },
}

/// What a job leaves on its host for a way back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// Package files, by the token of the job.
    Packages(BTreeMap<String, String>),
    /// A snapshot, by its marker.
    Snapshot {
        /// Its marker.
        marker: String,
        /// What it holds.
        stock: Stock,
        /// How the system is in it.
        content: Content,
    },
    /// Nothing any more under this marker.
    Nothing(String),
}
