//! Which machines there are.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runbook_engine::{
    ids::{GroupName, TargetId},
    target::{Target, TargetQuery},
};

use super::fault::Fault;

/// Which machines there are.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// The machines that a group asks for. Terminated ones are left out.
    ///
    /// # Errors
    /// The call that gave no answer.
    async fn resolve(&self, group: &GroupName, query: &TargetQuery) -> Result<Vec<Target>, Fault>;

    /// Those of these planned machines that are gone, or whose image or root volume is not the planned one, with the
    /// cause. Hosts are always there.
    ///
    /// # Errors
    /// The call that gave no answer.
    async fn inspect(&self, targets: &[Target]) -> Result<BTreeMap<TargetId, String>, Fault>;

    /// What the inventories that were asked so far say and cannot be taken over, one phrase each, without secrets.
    async fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
