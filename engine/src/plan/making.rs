//! From a runbook and the machines of its groups to a plan.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use thiserror::Error;

use super::{
    NotifyRule, PLAN_FORMAT, Plan, Task, expand::Expander, link, machines::Machines, problems::Problems,
    render::Rendering, rollback, room, selection::selection, soak, verify, way_back,
};
use crate::{
    catalog::Catalog,
    diagnostic::{Diagnostic, Place},
    document::{Sources, model::Runbook},
    experience::Experience,
    ids::{GroupName, TargetId, TaskName},
    patchset::{Carried, Part, Patchset},
    target::Target,
};

/// What a plan is made of. The runbook must have passed [`crate::document`]'s checks: what they refuse, the planner
/// refuses too, but with less to say.
#[derive(Clone)]
pub struct Making<'a> {
    /// The runbook.
    pub runbook: &'a Runbook,
    /// The texts that it was read from.
    pub sources: &'a Sources,
    /// The actions.
    pub catalog: &'a dyn Catalog,
    /// The value of every parameter.
    pub params: BTreeMap<String, Value>,
    /// The environment; only what `env:` allows is used.
    pub env: BTreeMap<String, String>,
    /// What the inventories answered to [`super::queries`].
    pub resolved: BTreeMap<GroupName, Vec<Target>>,
    /// `--limit`: groups and ids; empty: no limit.
    pub limit: Vec<String>,
    /// What the run that is retried had tested and barred.
    pub tested: Option<Carried>,
    /// How long actions took in earlier runs: the plan keeps what it uses of it.
    pub experience: Experience,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The runbook, its parameters or the limit are wrong.
    #[error("the runbook cannot be planned")]
    Invalid(Vec<Diagnostic>),
    /// A group that a step uses has no machine.
    #[error("the target group `{group}` has no machine")]
    NoTargets {
        /// The group.
        group: GroupName,
    },
}

/// Makes the plan: linear in the number of tasks and of machines in them. The same input gives the same plan.
///
/// # Errors
/// [`Refusal`]; everything that is wrong with the runbook is told at once.
pub fn make(making: Making<'_>) -> Result<Plan, Refusal> {
    let Making { runbook, sources, catalog, params, env, resolved, limit, tested, experience } = making;
    let env: BTreeMap<String, String> = env
        .into_iter()
        .filter(|(name, _)| runbook.env.iter().any(|allowed| allowed.value == *name))
        .collect();
    let mut selection = selection(runbook, &params, &env).map_err(Refusal::Invalid)?;
    selection.limit = limit;
    let machines = Machines::new(runbook, &selection, resolved)?;
    let rendering = Rendering::new(env.clone());
    let mut expander = Expander::new(runbook, catalog, &machines, &rendering, params.clone());
    expander.expand();
    let mut expansion = expander.finish();
    link::link(&mut expansion);
    verify::add(&mut expansion);
    soak::add(&mut expansion);
    let notify = notify(runbook, catalog, &rendering, &params, &mut expansion.problems);
    expansion.problems.refuse_if_any()?;
    let undos = rollback::undos(&expansion);
    let (scopes, mut drafts) = (expansion.scopes, expansion.drafts);
    drafts.sort_by_key(|draft| draft.rank);
    let places: Places = drafts.iter().map(|draft| (draft.task.name.clone(), draft.step.id.place)).collect();
    let mut plan = Plan {
        format: PLAN_FORMAT,
        runbook: runbook.name.value.clone(),
        description: runbook.description.clone(),
        sources: sources.by_name(),
        entry: sources.files.first().map(|(name, _)| name.clone()).unwrap_or_default(),
        params,
        env,
        experience: Experience::default(),
        groups: machines.used_groups(),
        targets: machines.all(),
        selection,
        scopes,
        tasks: drafts.into_iter().map(|draft| draft.task).collect(),
        rollback: Vec::new(),
        notify,
        patchset: patchset(runbook, tested),
        link: None,
        carried: BTreeMap::new(),
    };
    unique(&plan, &places)?;
    plan.put_in_order().map_err(|cycle| {
        let names: Vec<_> = cycle.iter().map(|name| name.as_str()).collect();
        let message = format!("these tasks wait for each other: {}", names.join(", "));
        let place = cycle.first().and_then(|name| places.get(name).copied()).unwrap_or(Place::whole(0));
        Refusal::Invalid(vec![Diagnostic::error("cycle", message, place)])
    })?;
    rollback::add(&mut plan, undos);
    unique(&plan, &places)?;
    way_back::decide(&mut plan, catalog, &places)?;
    mark_restorable(&mut plan);
    tests_first(&plan, runbook)?;
    plan.experience = experience.only(|known| plan.uses(known));
    room::check(&plan, &places)?;
    Ok(plan)
}

fn patchset(runbook: &Runbook, carried: Option<Carried>) -> Option<Patchset> {
    let from = runbook.patchset.as_ref()?.from.value.as_str();
    Some(Patchset { from: from.into(), carried })
}

/// Who takes the patchset can only install what this run tests, or one before it has tested.
fn tests_first(plan: &Plan, runbook: &Runbook) -> Result<(), Refusal> {
    let Some(from) = runbook.patchset.as_ref().map(|patchset| &patchset.from) else { return Ok(()) };
    if plan.patchset.as_ref().is_some_and(|patchset| patchset.carried.is_some()) {
        return Ok(());
    }
    let part =
        |part: Part| plan.tasks.iter().find(move |task| task.patchset == Some(part) && task.skip.is_none());
    let (None, Some(taker)) = (part(Part::Tests), part(Part::Takes)) else { return Ok(()) };
    let message = format!(
        "`{}` is left out, so nothing is tested that `{}` may install",
        from.value,
        taker.name.stage()
    );
    let problem = Diagnostic::error("untested-patches", message, from.place);
    Err(Refusal::Invalid(vec![problem.hint(format!(
        "let `--limit` leave machines of `{}` in; a run that has tested them goes on with `runbook retry RUN`",
        from.value
    ))]))
}

/// Where the step of each task stands.
pub(super) type Places = BTreeMap<TaskName, Place>;

/// Two tasks, or two scopes, of one name come from ids like `wave-1` or `soak`.
fn unique(plan: &Plan, places: &Places) -> Result<(), Refusal> {
    let mut problems = Problems::default();
    let place = |name: &str| places.get(name).copied().unwrap_or(Place::whole(0));
    let mut seen = BTreeSet::new();
    for task in plan.tasks.iter().chain(&plan.rollback) {
        if !seen.insert(task.name.as_str()) {
            let message = format!("two tasks are called `{}`", task.name);
            problems.add(Diagnostic::error("ambiguous-task", message, place(task.name.as_str())).hint(
                "give the step another id: `wave-1`, `part-1`, `soak`, `window`, `verify`, `rollback` and \
                 `finally` are the planner's words",
            ));
        }
    }
    let mut seen = BTreeSet::new();
    for scope in &plan.scopes {
        if !seen.insert(scope.name.as_str()) {
            let message = format!("two parts of the plan are called `{}`", scope.name);
            problems.add(Diagnostic::error("ambiguous-task", message, Place::whole(0)));
        }
    }
    problems.refuse_if_any()
}

/// A failure branch that restores covers a task when it is named by it directly: what stands in between could fail.
pub(super) fn mark_restorable(plan: &mut Plan) {
    let restoring: BTreeSet<_> = plan
        .tasks
        .iter()
        .chain(&plan.rollback)
        .filter(|task| task.restores.is_some())
        .map(|task| task.name.clone())
        .collect();
    let mark =
        |task: &mut Task| task.restorable = task.on_failure.iter().any(|name| restoring.contains(name));
    plan.tasks.iter_mut().for_each(mark);
    plan.rollback.iter_mut().for_each(mark);
}

fn notify(
    runbook: &Runbook,
    catalog: &dyn Catalog,
    rendering: &Rendering,
    params: &BTreeMap<String, Value>,
    problems: &mut Problems,
) -> Vec<NotifyRule> {
    let Some(doc) = catalog.action("notify/webhook") else { return Vec::new() };
    let scope = rendering.scope(params);
    runbook
        .notify
        .iter()
        .map(|rule| NotifyRule {
            events: rule.events.iter().map(|event| event.value.clone()).collect(),
            inputs: rendering.inputs(&rule.webhook, doc, &scope, problems).without_machines(problems),
        })
        .collect()
}

/// Machines by id, as every part of the planner hands them around.
pub(super) type List = std::rc::Rc<[TargetId]>;
