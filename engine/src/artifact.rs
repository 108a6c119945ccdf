//! What a run leaves in an account: snapshots, images, volumes, recovery points.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ids::TargetId, target::Home};

/// Kinds of things that cost money as long as they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// A snapshot of a volume.
    Snapshot,
    /// An image of an instance, with its snapshots.
    Image,
    /// A volume.
    Volume,
    /// A recovery point of AWS Backup.
    RecoveryPoint,
    /// A snapshot of a host of our own, on that host or where it backs up to.
    HostSnapshot,
    /// Package files that a host of our own keeps.
    PackageFiles,
}

impl ArtifactKind {
    /// The word used in JSON and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::RecoveryPoint => "recovery_point",
            Self::HostSnapshot => "host_snapshot",
            Self::PackageFiles => "package_files",
        }
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a call that is about to be made makes, told before it is made: even if nobody ever hears its answer, somebody
/// knows what to look for. The intent's token finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Makes {
    /// What.
    pub kind: ArtifactKind,
    /// When it is no longer needed; absent: somebody must say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// Something that a run made, or left behind: from now on it has a place in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// What.
    pub kind: ArtifactKind,
    /// Its id (an ARN for a recovery point).
    pub id: String,
    /// The token of the call that made it: its tag `runbook:token`.
    pub token: String,
    /// The machine that it is of.
    pub target: TargetId,
    /// Where it is.
    pub home: Home,
    /// The vault of a recovery point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// Its size in GiB, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<u64>,
    /// When it is no longer needed; absent: somebody must say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}
