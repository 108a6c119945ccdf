//! The readiness gate: before machines are changed for the first time, their way back is looked at.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{execution::Attempt, live::Live};
use runbook_engine::{
    ids::{StepPath, TargetId},
    plan::{Role, Task},
    target::Home,
};
use runbook_steps::{
    action::{Failure, Work},
    actions::aws::readiness::{self, Precaution},
    context::Context,
};

/// What the gate of one attempt looks at.
#[derive(Default)]
pub(super) struct Precautions {
    machines: Vec<Precaution>,
    /// The change is a reboot by EC2.
    reboots: bool,
}

impl Precautions {
    /// Whether an attempt may have anything to look at: `of` says what.
    pub fn are_due(live: &Live, attempt: &Attempt) -> bool {
        let task = live.task(&attempt.task);
        task.effect.may_change() && task.role == Role::Step && restoring(live, task).next().is_some()
    }

    /// The machines of an attempt that it changes for the first time, where an action of ours on AWS restores them.
    /// Not those for which an earlier life was about to make a call: they had passed the gate.
    pub fn of(live: &Live, attempt: &Attempt) -> Self {
        if !Self::are_due(live, attempt) {
            return Self::default();
        }
        let task = live.task(&attempt.task);
        let memory = live.run().memory(&task.name).filter(|_| attempt.resumed);
        let asked: HashSet<&TargetId> =
            memory.iter().flat_map(|memory| memory.intents.values()).flat_map(|one| &one.targets).collect();
        let first: HashSet<TargetId> = live
            .run()
            .open_targets(&task.name)
            .into_iter()
            .filter(|id| !asked.contains(id) && !live.run().is_changed_before(&task.name, id))
            .collect();
        // Two branches that restore from one backup in one way are one way back.
        let mut ways: BTreeMap<(&TargetId, &StepPath, &str), Precaution> = BTreeMap::new();
        for other in restoring(live, task) {
            let Some(from) = &other.restores else { continue };
            let planned = other.ways.iter().flat_map(|way| {
                way.targets.iter().filter(|id| first.contains(*id)).map(|id| (id, way.strategy.as_str()))
            });
            let planned: HashMap<&TargetId, &str> = planned.collect();
            for id in other.targets.iter().flatten().filter(|id| first.contains(*id)) {
                let strategy = planned.get(id).copied().unwrap_or("auto");
                if let Some(precaution) = precaution(live, other, id, strategy) {
                    ways.insert((id, from, strategy), precaution);
                }
            }
        }
        Self { machines: ways.into_values().collect(), reboots: task.action.as_str() == "aws/reboot" }
    }

    /// Looks, reports the machines that are not ready, and leaves the others in the work; whether any is left.
    pub async fn take(self, ctx: &Context, work: &mut Work) -> Result<bool, Failure> {
        if self.machines.is_empty() {
            return Ok(true);
        }
        let refused = readiness::check(ctx, &self.machines, self.reboots).await?;
        let mut reports: Vec<(_, Vec<TargetId>)> = Vec::new();
        for (id, report) in &refused {
            match reports.iter_mut().find(|(known, _)| *known == report) {
                Some((_, ids)) => ids.push(id.clone()),
                None => reports.push((report, vec![id.clone()])),
            }
        }
        for (report, ids) in reports {
            ctx.ledger.report(ids, report.clone()).await?;
        }
        work.targets.retain(|(target, _)| !refused.contains_key(&target.id));
        Ok(!work.targets.is_empty())
    }
}

/// The tasks on AWS that restore what this one changes.
fn restoring<'l>(live: &'l Live, task: &Task) -> impl Iterator<Item = &'l Task> {
    live.restoring(&task.name).filter(|other| other.action.as_str() == "aws/restore")
}

fn precaution(live: &Live, restoring: &Task, id: &TargetId, strategy: &str) -> Option<Precaution> {
    let target = live.target(id).filter(|target| matches!(target.home, Home::Aws { .. }))?;
    let backup = live.run().backup_for(&restoring.name, id)?;
    Some(Precaution { target, backup, strategy: strategy.to_owned() })
}
