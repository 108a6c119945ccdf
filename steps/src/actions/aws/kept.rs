//! What a backup keeps: the outputs of `aws/snapshot` and `aws/backup`, as `aws/restore` and the readiness gate read
//! them. A snapshot keeps nothing of its volume but size and encryption (facts: CreateSnapshots), so the rest
//! stands here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The outputs of a backup of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its snapshots, the root's first; empty for a recovery point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<String>,
    /// What each of them was taken of, in the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<KeptVolume>,
    /// The recovery point of `aws/backup`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point: Option<String>,
    /// The vault that it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The role that AWS Backup made it with, and restores it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Until when it is kept; absent: until somebody deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A volume, as it was when its snapshot was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVolume {
    /// The snapshot.
    pub snapshot: String,
    /// The volume that it was taken of.
    pub volume: String,
    /// The volume's device name: `/dev/xvda`.
    pub device: String,
    /// Whether it was the root volume.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// Its size, in GiB.
    pub size_gib: u32,
    /// `gp3`, `io2`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Provisioned IOPS, where the type has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// Provisioned throughput in MiB/s, where the type has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    /// Whether it was encrypted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
    /// The key that it was encrypted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Whether it was deleted together with the instance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_on_termination: bool,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Kept {
    /// The backup that a step's outputs for one machine speak of; none where they speak of no backup.
    pub fn read(outputs: &Value) -> Option<Self> {
        let kept: Self = serde_json::from_value(outputs.clone()).ok()?;
        (!kept.snapshots.is_empty() || kept.recovery_point.is_some()).then_some(kept)
    }

    /// The root volume, if it is in the backup.
    pub fn root(&self) -> Option<&KeptVolume> {
        self.volumes.iter().find(|volume| volume.root)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Kept;

    #[test]
    fn outputs_without_a_backup_are_none() {
        assert_eq!(Kept::read(&json!({ "boot_id": "b" })), None);
        assert_eq!(Kept::read(&json!(null)), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let outputs = json!({
            "snapshots": ["snap-1"],
            "volumes": [{
                "snapshot": "snap-1", "volume": "vol-1", "device": "/dev/xvda", "root": true, "size_gib": 8,
                "type": "gp3", "iops": 3000, "throughput": 125, "delete_on_termination": true,
            }],
            "expires": "2026-12-01T00:00:00Z",
        });
        let kept = Kept::read(&outputs).expect("a backup");
        assert_eq!(kept.root().map(|root| root.volume.as_str()), Some("vol-1"));
        assert_eq!(serde_json::to_value(&kept).expect("JSON"), outputs);
    }
}
