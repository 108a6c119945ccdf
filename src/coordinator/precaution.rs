//! The readiness gate: before machines are changed for the first time, their way back is looked at.

use std::collections::HashMap;

use super::{execution::Attempt, live::Live};
use runbook_engine::{
    ids::TargetId,
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
    /// The machines of an attempt that it changes for the first time, where an action of ours on AWS restores them.
    /// None where an earlier life began to work: it had passed the gate.
    pub fn of(live: &Live, attempt: &Attempt) -> Self {
        let task = live.task(&attempt.task);
        let has_begun = attempt.resumed
            && live
                .run()
                .memory(&task.name)
                .is_some_and(|memory| !memory.intents.is_empty() || !memory.checkpoints.is_empty());
        if !task.effect.may_change() || !matches!(task.role, Role::Step) || has_begun {
            return Self::default();
        }
        let mut restoring: HashMap<&TargetId, Vec<&Task>> = HashMap::new();
        for other in live.restoring(&task.scope).filter(|other| other.action.as_str() == "aws/restore") {
            for id in other.targets.iter().flatten() {
                restoring.entry(id).or_default().push(other);
            }
        }
        if restoring.is_empty() {
            return Self::default();
        }
        let open = live.run().open_targets(&task.name).into_iter();
        let machines = open
            .filter(|id| !live.run().is_changed_before(&task.name, id))
            .filter_map(|id| precaution(live, restoring.get(&id)?, &id))
            .collect();
        Self { machines, reboots: task.action.as_str() == "aws/reboot" }
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.machines.is_empty()
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

fn precaution(live: &Live, restoring: &[&Task], id: &TargetId) -> Option<Precaution> {
    let target = live.target(id).filter(|target| matches!(target.home, Home::Aws { .. }))?;
    restoring.iter().find_map(|task| {
        let backup = live.run().backup_for(&task.name, id)?.clone();
        let way = task.ways.iter().find(|way| way.targets.contains(id));
        let strategy = way.map_or("auto", |way| way.strategy.as_str()).to_owned();
        Some(Precaution { target: target.clone(), backup, strategy })
    })
}
