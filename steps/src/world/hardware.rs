//! What the machines of a group are made of, where a fleet file says so.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Where the root volume of an instance is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootDevice {
    /// On EBS.
    #[default]
    Ebs,
    /// On the host: lost when the instance stops, and never in a snapshot (facts: CreateSnapshots).
    InstanceStore,
}

impl RootDevice {
    /// The word of EC2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ebs => "ebs",
            Self::InstanceStore => "instance-store",
        }
    }
}

/// A public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicIp {
    /// Given at each start: another one after a stop (facts: What a restore keeps).
    Auto,
    /// It stays.
    Elastic,
}

/// The EBS volumes of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disks {
    /// Size of the root volume.
    pub root_gib: u32,
    /// Size of each data volume.
    pub data_gib: u32,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Provisioned IOPS, where the type has them; `gp3` has 3,000 unless given.
    pub iops: Option<u32>,
    /// Provisioned throughput in MiB/s; `gp3` has 125 unless given.
    pub throughput: Option<u32>,
    /// Whether they are encrypted.
    pub encrypted: bool,
    /// With which key; absent: the account's own for EBS.
    pub kms_key: Option<String>,
    /// Whether the root volume is deleted together with the instance.
    pub delete_root: bool,
    /// Whether the data volumes are.
    pub delete_data: bool,
    /// Tags of every volume.
    pub tags: BTreeMap<String, String>,
}

impl Default for Disks {
    fn default() -> Self {
        Self {
            root_gib: 8,
            data_gib: 100,
            kind: "gp3".into(),
            iops: None,
            throughput: None,
            encrypted: false,
            kms_key: None,
            delete_root: true,
            delete_data: false,
            tags: BTreeMap::new(),
        }
    }
}

impl Disks {
    /// Provisioned IOPS, the type's own where it has them.
    pub fn iops(&self) -> Option<u32> {
        self.iops.or((self.kind == "gp3").then_some(3000))
    }

    /// Provisioned throughput, the type's own where it has it.
    pub fn throughput(&self) -> Option<u32> {
        self.throughput.or((self.kind == "gp3").then_some(125))
    }
}
