//! Which machines there are in the real world: hosts by the runbook or an inventory, the rest by AWS.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use runbook_engine::{
    ids::{GroupName, TargetId},
    inventory::PatternError,
    target::{Home, Target, TargetQuery},
};
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    inventory::Inventory,
};

use crate::{
    coordinator::{secrets::Secrets, session::Setup},
    inventory::Inventories,
};

/// Which machines there are in the real world.
pub(super) struct RealInventory {
    hosts: Inventories,
    aws: Option<Arc<dyn Inventory>>,
}

impl RealInventory {
    pub fn new(folder: &Path, setup: &Setup, secrets: Secrets, aws: Option<Arc<dyn Inventory>>) -> Self {
        Self { hosts: Inventories::new(folder, setup, secrets), aws }
    }

    fn aws(&self) -> Result<&dyn Inventory, Fault> {
        self.aws.as_deref().ok_or_else(|| Fault {
            call: "ec2:DescribeInstances",
            kind: FaultKind::Unsupported,
            code: None,
            message: "this binary was built without AWS".to_owned(),
        })
    }

    async fn in_file(
        &self,
        group: &GroupName,
        file: &str,
        pattern: Option<&str>,
    ) -> Result<Vec<Target>, Fault> {
        let opened = self.hosts.open(file).await.map_err(|error| error.fault())?;
        let chosen =
            opened.register.select(pattern).map_err(|error| unmatched(&self.hosts.path(file), &error))?;
        Ok(chosen.into_iter().map(|(name, entry)| entry.clone().into_target(name, "linux", group)).collect())
    }
}

/// A pattern that is none is wrong in the runbook; one that finds nothing may be right tomorrow.
fn unmatched(file: &Path, error: &PatternError) -> Fault {
    let kind = match error {
        PatternError::Empty { .. } | PatternError::Foreign { .. } => FaultKind::Invalid,
        PatternError::Unknown { .. } | PatternError::Unfit { .. } => FaultKind::NotFound,
    };
    Fault { call: "hosts:inventory", kind, code: None, message: format!("{}: {error}", file.display()) }
}

#[async_trait]
impl Inventory for RealInventory {
    async fn resolve(&self, group: &GroupName, query: &TargetQuery) -> Result<Vec<Target>, Fault> {
        match query {
            TargetQuery::Aws { .. } => self.aws()?.resolve(group, query).await,
            TargetQuery::Hosts { hosts } => {
                let hosts = hosts.iter();
                Ok(hosts.map(|(name, entry)| entry.clone().into_target(name, "linux", group)).collect())
            }
            TargetQuery::HostInventory { file, group: pattern } => {
                self.in_file(group, file, pattern.as_deref()).await
            }
        }
    }

    async fn notes(&self) -> Vec<String> {
        self.hosts.notes().await
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
