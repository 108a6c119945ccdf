//! A machine, as the plan freezes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    connection::{Connection, defect},
    ids::{GroupName, TargetId},
};

/// One machine with everything that the plan says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// EC2 instance id or host name.
    pub id: TargetId,
    /// The `Name` tag, else the id: waves are sorted by it.
    pub name: String,
    /// The group through which it came into the plan first.
    pub group: GroupName,
    /// Where checks reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    /// EC2 tags; empty for hosts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Variables of a host; empty for EC2.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// What a host serves (`production`), as its inventory says; absent for EC2, whose tags say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Who answers for a host, as its inventory says; absent for EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `linux` or `windows`.
    pub platform: String,
    /// What it was made from; a machine with another one before its wave is not the planned one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Its root volume; same rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume: Option<String>,
    /// What EC2 says of it that decides how it can be restored; absent for hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2: Option<Ec2Facts>,
    /// Where it lives.
    pub home: Home,
}

/// What decides how an EC2 instance can be restored, as the inventory saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ec2Facts {
    /// `ebs` or `instance-store`.
    pub root_device_type: String,
    /// How many EBS volumes it has, its root included.
    pub volumes: u32,
    /// The Availability Zone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// It is a spot instance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spot: bool,
    /// Its Auto Scaling group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_scaling_group: Option<String>,
    /// Its public address is not an Elastic IP: it is lost when the instance stops.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public_ip_changes: bool,
    /// Hibernation is configured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hibernates: bool,
}

/// Where a machine lives: how actions reach it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    /// An EC2 instance.
    Aws {
        /// The account that it was found in, if the inventory said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// The Region; absent: the default one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
        /// The role to assume.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        /// What the role asks for besides (`sts:ExternalId`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
    },
    /// A host of our own.
    Host {
        /// Its address.
        address: String,
        /// How it is reached there, where that is not what the user's own ssh configuration says.
        #[serde(default, skip_serializing_if = "Connection::is_empty")]
        connection: Connection,
    },
}

/// Which machines a group asks for, with all parameters filled in: what an inventory answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetQuery {
    /// EC2 instances.
    Aws {
        /// Each of these tags has one of these values.
        tags: BTreeMap<String, Vec<String>>,
        /// Just these instances.
        ids: Vec<TargetId>,
        /// The members of this resource group.
        resource_group: Option<String>,
        /// The Region; absent: the default one.
        region: Option<String>,
        /// The role to assume.
        role: Option<String>,
        /// What the role asks for besides (`sts:ExternalId`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
    },
    /// Hosts written down in the runbook.
    Hosts {
        /// By name.
        hosts: BTreeMap<String, HostEntry>,
    },
    /// Hosts of an inventory file.
    HostInventory {
        /// The file, relative to the runbook.
        file: String,
        /// Which of its hosts, as a pattern of its groups and hosts (`web:!canary`); absent: all hosts.
        group: Option<String>,
    },
}

/// A host written down in the runbook or in an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// Name or IP address.
    pub address: String,
    /// Its variables.
    #[serde(default)]
    pub vars: BTreeMap<String, Value>,
    /// How it is reached.
    #[serde(default, skip_serializing_if = "Connection::is_empty")]
    pub connection: Connection,
    /// What it serves: `production`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl HostEntry {
    /// What no host can be reached with, one lower-case phrase: an address or a connection that a shell or ssh would
    /// take for something else.
    pub fn defect(&self) -> Option<String> {
        defect("address", &self.address, false).or_else(|| self.connection.defect())
    }

    /// The host as a target of a group.
    pub fn into_target(self, name: &str, platform: &str, group: &GroupName) -> Target {
        Target {
            id: TargetId::new(name),
            name: name.to_owned(),
            group: group.clone(),
            private_ip: Some(self.address.clone()),
            tags: BTreeMap::new(),
            vars: self.vars,
            environment: self.environment,
            owner: self.owner,
            platform: platform.to_owned(),
            image: None,
            root_volume: None,
            ec2: None,
            home: Home::Host { address: self.address, connection: self.connection },
        }
    }
}

/// Why this cannot name a host, one lower-case phrase. Names are what commands, paths of the state folder and patterns
/// are made of: domain names, IP addresses, and the names that people give.
pub fn host_name_defect(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (!begins || !name.chars().all(allowed) || name.len() > 255)
        .then(|| format!("`{}` cannot name a host", name.escape_debug()))
}
