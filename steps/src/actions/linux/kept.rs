//! What a backup keeps: the outputs of `linux/backup`, as `linux/restore` and `linux/patch` read them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest::Manifest;
use crate::ports::linux::{Package, Revert};

/// The outputs of a backup of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// `packages`, or how a snapshot was made.
    pub method: String,
    /// What its packages are made for.
    pub platform: String,
    /// The marker of the snapshot, or of the package files that were put aside.
    pub token: String,
    /// Every package that was installed, by `name:arch`; absent where what is kept is not the root file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<Manifest>,
    /// Packages whose files were put aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Package>,
    /// How much room they take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What the host told of its snapshot.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub captured: Value,
    /// What the method wants besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Value>,
    /// Names of secrets, by the variable that holds each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// When it was made: what was written later is not in it.
    pub at: Timestamp,
    /// Until when it is kept; absent: until somebody deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Kept {
    /// The backup that a step's outputs for one host speak of; none where they speak of none.
    pub fn read(outputs: &Value) -> Option<Self> {
        serde_json::from_value(outputs.clone()).ok()
    }

    /// Whether its way back is by packages.
    pub fn is_by_packages(&self) -> bool {
        self.method == super::backup::PACKAGES && self.packages.is_some()
    }

    /// What a host is told to go back to, with what the step says besides. The hooks of the backup are none of the way
    /// back.
    pub fn revert(&self, own: BTreeMap<String, Value>) -> Revert {
        let made_with = self.options.iter().filter(|(key, _)| !matches!(key.as_str(), "before" | "after"));
        let made_with = made_with.map(|(key, value)| (key.clone(), value.clone()));
        Revert {
            method: self.method.clone(),
            token: self.token.clone(),
            captured: self.captured.clone(),
            options: made_with.chain(own).collect(),
            secrets: self.secrets.clone(),
        }
    }
}
