//! What was just seen of all machines that live in one place, in as few calls as AWS allows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use crate::{
    actions::aws::marks::TOKEN,
    ports::{
        backup::{Backup, RestoreJob},
        ec2::{Ec2, Instance, InstanceStatus, ReplaceTask, Volume, Which},
        fault::Fault,
        ssm::{AgentInfo, Ssm},
    },
};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Instances, with the volumes that they hold.
    pub instances: BTreeSet<TargetId>,
    /// Other volumes.
    pub volumes: BTreeSet<String>,
    /// Replacements of root volumes.
    pub replacements: BTreeSet<String>,
    /// Tokens of volumes that may exist.
    pub new_volumes: BTreeSet<String>,
    /// Tokens of replacements that may exist.
    pub new_replacements: BTreeSet<String>,
    /// Restore jobs since then.
    pub jobs: Option<Timestamp>,
    /// Instances that are waited for until they are back.
    pub returning: BTreeSet<TargetId>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    pub instances: BTreeMap<String, Instance>,
    pub volumes: BTreeMap<String, Volume>,
    pub replacements: BTreeMap<String, ReplaceTask>,
    pub jobs: Vec<RestoreJob>,
    pub agents: BTreeMap<String, AgentInfo>,
    pub statuses: BTreeMap<String, InstanceStatus>,
}

/// Looks.
pub(super) async fn look(
    wanted: &Wanted,
    ec2: &dyn Ec2,
    ssm: &dyn Ssm,
    backup: &dyn Backup,
) -> Result<Sight, Fault> {
    let mut sight = Sight::default();
    let ids: Vec<_> = wanted.instances.union(&wanted.returning).cloned().collect();
    if !ids.is_empty() {
        let seen = ec2.instances(&ids).await?;
        sight.instances = seen.into_iter().map(|instance| (instance.id.clone(), instance)).collect();
    }
    let held = sight.instances.values().flat_map(|instance| &instance.volumes);
    let volumes: BTreeSet<_> =
        held.map(|held| held.volume.clone()).chain(wanted.volumes.iter().cloned()).collect();
    if !volumes.is_empty() {
        let seen = ec2.volumes(&Which::Ids(volumes.into_iter().collect())).await?;
        sight.volumes = seen.into_iter().map(|volume| (volume.id.clone(), volume)).collect();
    }
    // Each kind by itself: who swaps volumes has no right to look at replacements.
    if !wanted.new_volumes.is_empty() {
        let seen = ec2.volumes(&tagged(&wanted.new_volumes)).await?;
        sight.volumes.extend(seen.into_iter().map(|volume| (volume.id.clone(), volume)));
    }
    if !wanted.new_replacements.is_empty() {
        let seen = ec2.replace_tasks(&tagged(&wanted.new_replacements)).await?;
        sight.replacements.extend(seen.into_iter().map(|task| (task.id.clone(), task)));
    }
    if !wanted.replacements.is_empty() {
        let seen = ec2.replace_tasks(&Which::Ids(wanted.replacements.iter().cloned().collect())).await?;
        sight.replacements.extend(seen.into_iter().map(|task| (task.id.clone(), task)));
    }
    if let Some(since) = wanted.jobs {
        sight.jobs = backup.restore_jobs(since).await?;
    }
    let returning: Vec<_> = wanted.returning.iter().cloned().collect();
    if !returning.is_empty() {
        let agents = ssm.agents(&returning).await?;
        sight.agents = agents.into_iter().map(|agent| (agent.instance.to_string(), agent)).collect();
        let statuses = ec2.statuses(&returning).await?;
        sight.statuses = statuses.into_iter().map(|status| (status.instance.clone(), status)).collect();
    }
    Ok(sight)
}

fn tagged(tokens: &BTreeSet<String>) -> Which {
    Which::Tagged { key: TOKEN.to_owned(), values: tokens.iter().cloned().collect() }
}
