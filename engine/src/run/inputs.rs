//! Expressions that only a run can answer: `steps`, `run`, `secret()`, and `when:` over steps.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{
    Run,
    layout::{ScopeIx, TaskIx},
    state::Memory,
};
use crate::{
    expression::{ExpressionError, Expressions, Scope, Secrets},
    ids::{TargetId, TaskName},
    plan::{Inputs, ScopeKind, TargetWords, Work},
    target::Target,
};

/// Why the inputs of a task cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("input `{key}` of {task}")]
pub struct RenderError {
    /// The task.
    pub task: TaskName,
    /// The input.
    pub key: String,
    /// Why.
    #[source]
    pub source: ExpressionError,
}

impl Run {
    /// The inputs of an action's task, for one machine or for all, with every expression rendered. Empty for a gate.
    ///
    /// # Errors
    /// An expression that cannot be computed: the attempt fails with that cause.
    pub fn inputs(
        &self,
        task: &TaskName,
        target: Option<&TargetId>,
        secrets: Option<&dyn Secrets>,
    ) -> Result<BTreeMap<String, Value>, RenderError> {
        let Some(ix) = self.layout.task(task.as_str()) else { return Ok(BTreeMap::new()) };
        let Work::Action(inputs) = &self.plan.task_at(ix).work else { return Ok(BTreeMap::new()) };
        self.render(ix, inputs, target, secrets)
    }

    /// The inputs of a notification rule. `subject` and `event` are names in its texts through `run`.
    ///
    /// # Errors
    /// An expression that cannot be computed.
    pub fn notification_inputs(
        &self,
        rule: usize,
        secrets: Option<&dyn Secrets>,
    ) -> Result<BTreeMap<String, Value>, RenderError> {
        let Some(rule) = self.plan.notify.get(rule) else { return Ok(BTreeMap::new()) };
        let scope = Scope::new().params(&self.plan.params).env(&self.plan.env).run(self.run_facts());
        rendered("notify", &rule.inputs, &rule.inputs.shared, with_secrets(scope, secrets))
    }

    fn render(
        &self,
        ix: TaskIx,
        inputs: &Inputs,
        target: Option<&TargetId>,
        secrets: Option<&dyn Secrets>,
    ) -> Result<BTreeMap<String, Value>, RenderError> {
        let values = target.and_then(|target| inputs.per_target.get(target)).unwrap_or(&inputs.shared);
        let name = &self.plan.task_at(ix).name;
        let new = target.and_then(|id| self.replacement_at(ix, id).zip(self.plan.targets.get(id)));
        let Some((new, planned)) = new else {
            if inputs.late.is_empty() {
                return Ok(values.clone());
            }
            let scope = self.scope_of(ix, target, None);
            return rendered(name.as_str(), inputs, values, with_secrets(scope, secrets));
        };
        let machine = new.in_place_of(planned);
        let mut values = values.clone();
        for (_, value) in values.iter_mut().filter(|(key, _)| !inputs.late.contains(key)) {
            new.moved(value, planned);
        }
        let scope = self.scope_of(ix, target, Some(&machine));
        rendered(name.as_str(), inputs, &values, with_secrets(scope, secrets))
    }

    /// `when:` that is decided now; none where the task has none. What cannot be computed is false.
    pub(super) fn when(&self, ix: TaskIx) -> Option<bool> {
        let when = self.plan.task_at(ix).when.as_ref()?;
        Some(Expressions::new().test(when, &self.scope_of(ix, None, None)).unwrap_or(false))
    }

    /// `machine` stands in the place of the planned `target`, where it does.
    fn scope_of<'a>(&self, ix: TaskIx, target: Option<&TargetId>, machine: Option<&Target>) -> Scope<'a> {
        let task = self.plan.task_at(ix);
        let params = if task.params.is_empty() { &self.plan.params } else { &task.params };
        let scope = Scope::new()
            .params(params)
            .env(&self.plan.env)
            .run(self.run_facts())
            .steps(self.steps_seen_by(ix, target));
        match target.and_then(|id| self.plan.targets.get(id)) {
            Some(planned) => {
                let words = TargetWords::new(machine.unwrap_or(planned), self.wave_of(ix, &planned.id));
                scope.target(words)
            }
            None => scope,
        }
    }

    /// The wave, of the outermost rollout, in which a machine goes through a task. Soaks and rollbacks stand beside the
    /// waves: there it is the machine's own.
    fn wave_of(&self, ix: TaskIx, target: &TargetId) -> Option<u32> {
        let number = |scope: &ScopeIx| match self.plan.scopes[scope.at()].kind {
            ScopeKind::Wave { number, .. } => Some(number),
            _ => None,
        };
        let task = &self.layout.tasks[ix.at()];
        if let Some(own) = task.waves.iter().rev().find_map(number) {
            return Some(own);
        }
        match &self.plan.scopes[task.scope.at()].kind {
            ScopeKind::Soak { .. } => {
                let rollout = self.layout.scopes[task.scope.at()].parent?;
                let machine = self.layout.target(target)?;
                let mut waves =
                    self.layout.scopes[rollout.at()].children.iter().filter(|wave| number(wave).is_some());
                waves
                    .find(|wave| self.layout.scopes[wave.at()].targets.binary_search(&machine).is_ok())
                    .and_then(number)
            }
            // The wave itself may stand in another run's plan.
            ScopeKind::Rollback { undoes } => {
                undoes.as_str().split('/').find_map(|part| part.strip_prefix("wave-")?.parse().ok())
            }
            _ => None,
        }
    }

    fn run_facts(&self) -> Value {
        json!({
            "id": self.id,
            "runbook": self.plan.runbook,
            "started_at": self.started_at,
            "started_by": self.by,
            "status": self.end.map(|end| end.as_str()),
            "cause": self.cause,
        })
    }

    /// Steps of the same block and wave, and steps of the root: status and outputs.
    fn steps_seen_by(&self, ix: TaskIx, target: Option<&TargetId>) -> Map<String, Value> {
        let own = self.layout.tasks[ix.at()].scope;
        let mut scopes = vec![own];
        while let Some(parent) = self.layout.scopes[scopes[scopes.len() - 1].at()].parent {
            scopes.push(parent);
        }
        let mut steps = Map::new();
        for scope in scopes {
            for other in &self.layout.scopes[scope.at()].tasks {
                let step = &self.plan.task_at(*other).step;
                let id = step.as_str().rsplit('/').next().unwrap_or_default();
                if *other == ix || steps.contains_key(id) {
                    continue;
                }
                let state = &self.tasks[other.at()];
                let whole = state.outputs.get("");
                let outputs = match target.and_then(|target| state.outputs.get(target)).or(whole) {
                    Some(value) => (**value).clone(),
                    None => json!(state.outputs),
                };
                steps.insert(id.to_owned(), json!({ "status": state.status.as_str(), "outputs": outputs }));
            }
        }
        steps
    }

    /// The outputs of the backup that a restoring task uses for a machine.
    pub fn backup_for(&self, task: &TaskName, target: &TargetId) -> Option<Arc<Value>> {
        let ix = self.layout.task(task.as_str())?;
        let step = self.plan.task_at(ix).restores.as_ref()?;
        let machine = self.layout.target(target)?;
        let made = self.backups.get(step).into_iter().flatten().rev().find_map(|backup| {
            let state = &self.tasks[backup.at()];
            state.records.get(&machine).filter(|record| record.succeeded())?;
            state.outputs.get(target).cloned()
        });
        made.or_else(|| self.plan.carried.get(step)?.get(target).cloned().map(Arc::new))
    }

    /// What the attempt of a task journaled: intents and checkpoints.
    pub fn memory(&self, task: &TaskName) -> Option<&Memory> {
        self.layout.task(task.as_str()).map(|ix| &self.tasks[ix.at()].memory)
    }
}

fn with_secrets<'a>(scope: Scope<'a>, secrets: Option<&'a dyn Secrets>) -> Scope<'a> {
    match secrets {
        Some(secrets) => scope.secrets(secrets),
        None => scope,
    }
}

fn rendered(
    task: &str,
    inputs: &Inputs,
    values: &BTreeMap<String, Value>,
    scope: Scope<'_>,
) -> Result<BTreeMap<String, Value>, RenderError> {
    let expressions = Expressions::new();
    values
        .iter()
        .map(|(key, value)| {
            if !inputs.late.contains(key) {
                return Ok((key.clone(), value.clone()));
            }
            match expressions.render(value, &scope) {
                Ok(value) => Ok((key.clone(), value)),
                Err(source) => Err(RenderError { task: task.into(), key: key.clone(), source }),
            }
        })
        .collect()
}
