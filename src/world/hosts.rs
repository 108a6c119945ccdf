//! Which machines there are in the real world: hosts by the runbook or a file, the rest by AWS.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use runbook_engine::{
    ids::{GroupName, TargetId},
    target::{Home, HostEntry, Target, TargetQuery},
};
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    inventory::Inventory,
};

/// Which machines there are in the real world.
///
/// A host inventory is a YAML file of groups, each with its hosts in the runbook's own notation:
/// `web: { web1: { address: 10.0.0.1, vars: { rack: a } } }`.
pub(super) struct RealInventory {
    folder: PathBuf,
    aws: Option<Arc<dyn Inventory>>,
}

impl RealInventory {
    pub fn new(folder: &Path, aws: Option<Arc<dyn Inventory>>) -> Self {
        Self { folder: folder.to_owned(), aws }
    }

    fn aws(&self) -> Result<&dyn Inventory, Fault> {
        self.aws.as_deref().ok_or_else(|| Fault {
            call: "ec2:DescribeInstances",
            kind: FaultKind::Unsupported,
            code: None,
            message: "this binary was built without AWS".to_owned(),
        })
    }

    fn in_file(&self, file: &str, wanted: Option<&str>) -> Result<BTreeMap<String, HostEntry>, Fault> {
        let path = self.folder.join(file);
        let wrong = |message: String| Fault {
            call: "hosts:inventory",
            kind: FaultKind::Invalid,
            code: None,
            message,
        };
        let text = fs::read_to_string(&path)
            .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
        let groups: BTreeMap<String, BTreeMap<String, HostEntry>> =
            serde_yaml::from_str(&text).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        match wanted {
            None => Ok(groups.into_values().flatten().collect()),
            Some(group) => groups
                .get(group)
                .cloned()
                .ok_or_else(|| wrong(format!("{} has no group `{group}`", path.display()))),
        }
    }
}

#[async_trait]
impl Inventory for RealInventory {
    async fn resolve(&self, group: &GroupName, query: &TargetQuery) -> Result<Vec<Target>, Fault> {
        let hosts = match query {
            TargetQuery::Aws { .. } => return self.aws()?.resolve(group, query).await,
            TargetQuery::Hosts { hosts } => hosts.clone(),
            TargetQuery::HostInventory { file, group } => self.in_file(file, group.as_deref())?,
        };
        Ok(hosts.into_iter().map(|(name, entry)| entry.into_target(&name, "linux", group)).collect())
    }

    async fn inspect(&self, targets: &[Target]) -> Result<BTreeMap<TargetId, String>, Fault> {
        let instances: Vec<_> =
            targets.iter().filter(|target| matches!(target.home, Home::Aws { .. })).cloned().collect();
        if instances.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.aws()?.inspect(&instances).await
    }
}
