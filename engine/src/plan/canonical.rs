//! The plan as text: canonical JSON, its digest, and reading it back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{PLAN_FORMAT, Plan, ScopeKind, graph::order};

/// Why a text is not a plan that can be run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// It is no JSON, or not that of a plan.
    #[error("this is not a plan: {0}")]
    Unreadable(String),
    /// Another version made it.
    #[error("the plan has format {found}, and this version reads format {PLAN_FORMAT}")]
    Format {
        /// Its format.
        found: u64,
    },
    /// It contradicts itself: it was changed after it was made.
    #[error("the plan contradicts itself: {0}")]
    Inconsistent(String),
}

impl Plan {
    /// The plan as JSON without white space, all keys sorted. Equal plans have equal texts, whatever the order in which
    /// anything was read.
    pub fn to_canonical_json(&self) -> String {
        let mut text = String::new();
        self.write(&mut |piece| text.push_str(piece));
        text
    }

    /// SHA-256 of [`Plan::to_canonical_json`], in hexadecimal: 64 characters.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        self.write(&mut |piece| hash.update(piece.as_bytes()));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        #[derive(Deserialize)]
        struct Head {
            format: u64,
        }
        let unreadable = |error: serde_json::Error| PlanError::Unreadable(error.to_string());
        let head: Head = serde_json::from_str(text).map_err(unreadable)?;
        if head.format != u64::from(PLAN_FORMAT) {
            return Err(PlanError::Format { found: head.format });
        }
        let plan: Self = serde_json::from_str(text).map_err(unreadable)?;
        plan.check()?;
        Ok(plan)
    }

    /// Whether every name in it leads somewhere, and nothing waits for itself.
    fn check(&self) -> Result<(), PlanError> {
        let wrong = |message: String| Err(PlanError::Inconsistent(message));
        let mut scopes = BTreeSet::new();
        for scope in &self.scopes {
            let known = scope.parent.as_ref().is_none_or(|parent| scopes.contains(parent.as_str()));
            if !known || scope.parent.is_none() != (scope.kind == ScopeKind::Root) {
                return wrong(format!("the part `{}` stands in nothing", scope.name));
            }
            if !scopes.insert(scope.name.as_str()) {
                return wrong(format!("there are two parts `{}`", scope.name));
            }
        }
        for scope in &self.scopes {
            if let Some(after) = scope.after.as_ref().filter(|after| !scopes.contains(after.as_str())) {
                return wrong(format!("there is no part `{after}`"));
            }
        }
        let mut tasks = BTreeSet::new();
        let all = || self.tasks.iter().chain(&self.rollback);
        for task in all() {
            if !tasks.insert(task.name.as_str()) {
                return wrong(format!("there are two tasks `{}`", task.name));
            }
        }
        for task in all() {
            if !scopes.contains(task.scope.as_str()) {
                return wrong(format!("there is no part `{}`", task.scope));
            }
            let only = task.only.iter().flat_map(|only| only.names());
            let mentioned = task.needs.iter().chain(only).map(String::as_str).chain(task.role.names());
            for name in mentioned {
                if !tasks.contains(name) && !scopes.contains(name) {
                    return wrong(format!("there is no task `{name}`"));
                }
            }
            for name in &task.on_failure {
                if !tasks.contains(name.as_str()) {
                    return wrong(format!("there is no task `{name}`"));
                }
            }
            if let Some(id) = task.targets.iter().flatten().find(|id| !self.targets.contains_key(*id)) {
                return wrong(format!("there is no machine `{id}`"));
            }
        }
        match order(&self.scopes, &self.tasks) {
            Ok(_) => Ok(()),
            Err(_) => wrong("tasks wait for each other".into()),
        }
    }

    /// Piece by piece: a plan over ten thousand machines is never held twice. The keys are those of the struct, sorted;
    /// the pattern names each, so that none can be forgotten.
    fn write(&self, put: &mut dyn FnMut(&str)) {
        let Self {
            format,
            runbook,
            description,
            sources,
            entry,
            params,
            env,
            experience,
            groups,
            selection,
            targets,
            scopes,
            tasks,
            rollback,
            notify,
            patchset,
            link,
            carried,
        } = self;
        put("{");
        if !carried.is_empty() {
            field("carried", carried, put);
            put(",");
        }
        if let Some(description) = description {
            field("description", description, put);
            put(",");
        }
        field("entry", entry, put);
        put(",");
        if !env.is_empty() {
            field("env", env, put);
            put(",");
        }
        if !experience.is_empty() {
            field("experience", experience, put);
            put(",");
        }
        field("format", format, put);
        put(",");
        field("groups", groups, put);
        put(",");
        if let Some(link) = link {
            field("link", link, put);
            put(",");
        }
        if !notify.is_empty() {
            list("notify", notify, put);
            put(",");
        }
        field("params", params, put);
        put(",");
        if let Some(patchset) = patchset {
            field("patchset", patchset, put);
            put(",");
        }
        if !rollback.is_empty() {
            list("rollback", rollback, put);
            put(",");
        }
        field("runbook", runbook, put);
        put(",");
        list("scopes", scopes, put);
        put(",");
        field("selection", selection, put);
        put(",");
        field("sources", sources, put);
        put(",");
        field("targets", targets, put);
        put(",");
        list("tasks", tasks, put);
        put("}");
    }
}

fn field(key: &str, value: &impl Serialize, put: &mut dyn FnMut(&str)) {
    put(&format!("\"{key}\":"));
    canonical(value, put);
}

fn list<T: Serialize>(key: &str, items: &[T], put: &mut dyn FnMut(&str)) {
    put(&format!("\"{key}\":["));
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            put(",");
        }
        canonical(item, put);
    }
    put("]");
}

fn canonical(value: &impl Serialize, put: &mut dyn FnMut(&str)) {
    // The plan's types have names and texts as keys, and no value that JSON lacks.
    let value = serde_json::to_value(value).expect("a plan is JSON");
    let mut text = String::new();
    write_sorted(&value, &mut text);
    put(&text);
}

/// Sorts on its own: whether `serde_json` does is a feature of the whole build.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_sorted(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}
