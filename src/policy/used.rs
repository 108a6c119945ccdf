//! What a plan's actions call, by the identity that calls it.

use std::collections::{BTreeMap, BTreeSet};

use runbook_engine::{
    catalog::Catalog,
    ids::{GroupName, TargetId},
    plan::{Inputs, Plan, Task, Work},
    target::{Home, Target, TargetQuery},
};
use runbook_steps::actions::aws::restore::choice::{SEEING, Strategy};
use serde_json::Value;

use super::table::COLLECTING;

/// Who calls: the identity that the process has, or a role that it assumes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// Whose credentials are found in the environment.
    Caller,
    /// A role, by its ARN.
    Role(String),
}

/// What one identity needs.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// The groups of machines that it works on, with what chooses them.
    pub groups: BTreeMap<GroupName, TargetQuery>,
    /// Every right, and the groups that it is needed for.
    pub rights: BTreeMap<&'static str, BTreeSet<GroupName>>,
    /// The documents that are sent to machines; `*`: not known before the run.
    pub documents: BTreeSet<String>,
    /// The vaults that backups lie in; `*`: any.
    pub vaults: BTreeSet<String>,
    /// The roles that AWS Backup works with; `*`: not known before the run.
    pub passed: BTreeSet<String>,
    /// Restores put tags on volumes that are there already.
    pub tags_volumes: bool,
    /// Restores put tags on machines that AWS Backup made.
    pub tags_machines: bool,
    /// The roles that it assumes.
    pub assumes: BTreeSet<String>,
}

/// What this plan needs, by identity. `machines` are its stand-ins by group; `collecting`: `artifacts gc` too.
pub fn used(
    plan: &Plan,
    catalog: &dyn Catalog,
    machines: &BTreeMap<GroupName, Vec<Target>>,
    collecting: bool,
) -> BTreeMap<Identity, Used> {
    let mut all: BTreeMap<Identity, Used> = BTreeMap::new();
    let mut first: BTreeMap<&TargetId, &GroupName> = BTreeMap::new();
    for (group, query) in &plan.selection.queries {
        let TargetQuery::Aws { role, resource_group, .. } = query else { continue };
        let identity = role.clone().map_or(Identity::Caller, Identity::Role);
        if let Identity::Role(role) = &identity {
            all.entry(Identity::Caller).or_default().assumes.insert(role.clone());
        }
        let used = all.entry(identity).or_default();
        used.groups.insert(group.clone(), query.clone());
        used.need("ec2:DescribeInstances", group);
        if resource_group.is_some() {
            used.need("resource-groups:ListGroupResources", group);
            used.need("tag:GetResources", group);
        }
        for right in COLLECTING.iter().filter(|_| collecting) {
            used.need(right, group);
        }
        if collecting {
            used.vaults.insert("*".to_owned());
        }
        for machine in machines.get(group).into_iter().flatten() {
            first.entry(&machine.id).or_insert(group);
        }
    }
    for task in plan.tasks.iter().chain(&plan.rollback) {
        let (Some(doc), Work::Action(inputs)) = (catalog.action(task.action.as_str()), &task.work) else {
            continue;
        };
        for id in task.targets.iter().flatten() {
            let (Some(group), Some(machine)) = (first.get(id), plan.targets.get(id)) else { continue };
            let Home::Aws { role, .. } = &machine.home else { continue };
            let used = all.entry(role.clone().map_or(Identity::Caller, Identity::Role)).or_default();
            let detail = Detail::of(plan, task, inputs);
            for right in doc.rights.iter().filter(|right| detail.needs(right)) {
                used.need(right, group);
            }
            detail.add_to(used);
        }
    }
    all
}

impl Used {
    fn need(&mut self, right: &'static str, group: &GroupName) {
        self.rights.entry(right).or_default().insert(group.clone());
    }
}

/// What the inputs of a task say of its rights.
struct Detail<'a> {
    task: &'a Task,
    inputs: &'a Inputs,
    /// For a restore: the action that made the backup.
    backup: Option<&'a str>,
}

impl<'a> Detail<'a> {
    fn of(plan: &'a Plan, task: &'a Task, inputs: &'a Inputs) -> Self {
        let from = task.restores.as_ref();
        let backup = from.and_then(|from| {
            plan.tasks.iter().find(|task| task.step == *from).map(|task| task.action.as_str())
        });
        Self { task, inputs, backup }
    }

    /// Every text that an input may have; `*` where it is known at run time only.
    fn texts(&self, key: &str) -> BTreeSet<String> {
        if self.inputs.late.iter().any(|late| late == key) {
            return BTreeSet::from(["*".to_owned()]);
        }
        let all = std::iter::once(&self.inputs.shared).chain(self.inputs.per_target.values());
        all.filter_map(|values| values.get(key).and_then(Value::as_str)).map(str::to_owned).collect()
    }

    fn says(&self, key: &str, value: &str) -> bool {
        let texts = self.texts(key);
        texts.len() == 1 && texts.contains(value)
    }

    /// How a restore may bring its machines back.
    fn strategies(&self) -> BTreeSet<Strategy> {
        let texts = self.texts("strategy");
        let each = texts.iter().flat_map(|text| match (Strategy::named(text), text.as_str(), self.backup) {
            // A replacement that fails may leave a machine without a root, and then one is put on
            // (facts: Replacing a root volume).
            (Some(Strategy::ReplaceRootVolume), _, _) => {
                vec![Strategy::ReplaceRootVolume, Strategy::SwapVolumes]
            }
            (Some(strategy), _, _) => vec![strategy],
            (None, "auto", Some("aws/snapshot")) => vec![Strategy::ReplaceRootVolume, Strategy::SwapVolumes],
            (None, "auto", Some("aws/backup")) => vec![Strategy::BackupRestore],
            // Known at run time only.
            _ => Strategy::ALL.to_vec(),
        });
        each.collect()
    }

    /// Whether the task may use this right of its action.
    fn needs(&self, right: &str) -> bool {
        let restores = self.task.action.as_str() == "aws/restore";
        !restores
            || SEEING.contains(&right)
            || self.strategies().iter().any(|strategy| strategy.rights().contains(&right))
    }

    fn add_to(&self, used: &mut Used) {
        match self.task.action.as_str() {
            "aws/command" => {
                let named = self.texts("document");
                if named.is_empty() {
                    used.documents.extend(shells());
                }
                used.documents.extend(named);
            }
            "aws/patch" => {
                used.documents.insert(PATCHING.to_owned());
                // The boot id is read before and after the reboot.
                if !self.says("operation", "Scan") && !self.says("reboot", "NoReboot") {
                    used.documents.extend(shells());
                }
            }
            "aws/compliance" => drop(used.documents.insert(PATCHING.to_owned())),
            "aws/reboot" => used.documents.extend(shells()),
            "aws/backup" => {
                used.vaults.extend(self.texts("vault"));
                used.passed.extend(self.texts("role"));
            }
            "aws/restore" => {
                for strategy in self.strategies() {
                    match strategy {
                        Strategy::ReplaceRootVolume | Strategy::SwapVolumes => used.tags_volumes = true,
                        Strategy::BackupRestore => used.tags_machines = true,
                    }
                }
            }
            _ => {}
        }
    }
}

const PATCHING: &str = "AWS-RunPatchBaseline";

/// Which shell a machine has is not known before it is asked.
fn shells() -> [String; 2] {
    ["AWS-RunPowerShellScript".to_owned(), "AWS-RunShellScript".to_owned()]
}
