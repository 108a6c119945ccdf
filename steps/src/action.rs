//! What an action is.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runbook_engine::{
    catalog::ActionDoc,
    outcome::{ErrorClass, Outcome},
    target::Target,
};
use serde_json::Value;
use thiserror::Error;

use crate::context::Context;

/// One kind of step. `execute` serves start and resume alike.
///
/// The pattern is always: recall → else look up by token → else intent, call, checkpoint → poll → report. After a
/// resume (`ctx.resumed()`) it calls `ctx.looked_up()` once its in-flight work is found or known not to exist.
#[async_trait]
pub trait Action: Send + Sync {
    /// Its documentation.
    fn doc(&self) -> &ActionDoc;

    /// Whether a fresh attempt does nothing but read before its first [`Context::ledger`] call. Then the coordinator
    /// lets it run up to that call before the start of the attempt is durable, so that the start and the first intent
    /// share one batch. False is always right; true is wrong where anything leaves the process before the first intent.
    fn begins_with_intent(&self) -> bool {
        false
    }

    /// Does the work of one attempt, on all its machines.
    ///
    /// Machines are reported through the context as they come out. `Ok` holds the outputs as a whole (`Null`: none)
    /// and means that every machine was reported, or that a task without targets succeeded. What is not reported
    /// when `Err` comes back gets the failure as its report.
    ///
    /// # Errors
    /// The failure of the attempt as a whole, or [`Failure::Detached`] when the process is stopping.
    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure>;
}

/// The work of one attempt.
#[derive(Clone, Debug)]
pub struct Work {
    /// The machines that entered and are not reported yet, with their inputs; empty for a task without targets.
    pub targets: Vec<(Arc<Target>, Arc<Inputs>)>,
    /// The inputs of a task without targets, and what all machines share.
    pub inputs: Arc<Inputs>,
}

/// Rendered inputs, checked against the action's documentation; defaults are filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// By key.
    pub values: BTreeMap<String, Value>,
    /// The outputs of the backup that the machine is restored from (`from:`): for an action that restores, and for one
    /// that changes a machine which a failure branch would restore.
    pub backup: Option<Arc<Value>>,
    /// Actions that take a patchset, in a runbook that has one: what may be installed.
    ///
    /// `platforms`: by platform and package the exact version to install, and no other; absent on the machines where
    /// patches are tested first, which install what they find. `also`: further versions that were tested. `removed`:
    /// packages that went away. `barred`: by platform the versions that broke a machine (`name`, `version`, `broke`),
    /// which are never installed. The same in every life of an attempt.
    pub patchset: Option<Arc<Value>>,
}

impl Inputs {
    /// The same, with another value in one place.
    #[must_use]
    pub fn with(&self, key: &str, value: impl Into<Value>) -> Self {
        let mut same = self.clone();
        same.values.insert(key.to_owned(), value.into());
        same
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(Value::as_str)
    }

    /// A number.
    pub fn integer(&self, key: &str) -> Option<u64> {
        self.values.get(key).and_then(Value::as_u64)
    }

    /// A list of texts; empty where there is none. Numbers and truth values count as the texts that they are written as.
    pub fn texts(&self, key: &str) -> Vec<String> {
        self.values.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(as_text).collect()
    }

    /// Texts by key; empty where there are none.
    pub fn map(&self, key: &str) -> BTreeMap<String, String> {
        let entries = self.values.get(key).and_then(Value::as_object).into_iter().flatten();
        entries.filter_map(|(name, value)| Some((name.clone(), as_text(value)?))).collect()
    }

    /// A text that its documentation requires.
    ///
    /// # Errors
    /// That it is missing: an expression gave something else at run time.
    pub fn required_text(&self, key: &str) -> Result<&str, Failure> {
        self.text(key).ok_or_else(|| Failure::failed(format!("the input `{key}` is missing or is no text")))
    }

    /// A duration (`90s`, `15m`).
    pub fn span(&self, key: &str) -> Option<runbook_engine::duration::Span> {
        self.text(key).and_then(runbook_engine::duration::Span::parse)
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Why an attempt failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// It did not work.
    #[error("{cause}")]
    Failed {
        /// How its machines came out.
        outcome: Outcome,
        /// Its class.
        class: ErrorClass,
        /// One lower-case sentence.
        cause: String,
    },
    /// The process stops, or the journal is closed: nothing is known to be wrong, a resume goes on.
    #[error("detached")]
    Detached,
    /// Only a person can help (expired credentials): the run pauses with this cause, the remote work goes on, and a
    /// resume takes it up again.
    #[error("{cause}")]
    NeedsPerson {
        /// One lower-case sentence, and the next command to type.
        cause: String,
    },
}

impl Failure {
    /// Of two reasons why an attempt does not go on here, the one that is told: that a person is needed, then that the
    /// process stops (what is not reported stays open), then the first.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let rank = |failure: &Self| match failure {
            Self::Failed { .. } => 0,
            Self::Detached => 1,
            Self::NeedsPerson { .. } => 2,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    /// A plain failure.
    pub fn failed(cause: impl Into<String>) -> Self {
        Self::Failed { outcome: Outcome::Failed, class: ErrorClass::Failed, cause: cause.into() }
    }

    /// A failure of this class.
    pub fn of(class: ErrorClass, cause: impl Into<String>) -> Self {
        let outcome = if class == ErrorClass::TimedOut { Outcome::TimedOut } else { Outcome::Failed };
        Self::Failed { outcome, class, cause: cause.into() }
    }

    /// Nobody can say whether it was applied.
    pub fn unknown(cause: impl Into<String>) -> Self {
        Self::Failed { outcome: Outcome::Unknown, class: ErrorClass::Failed, cause: cause.into() }
    }

    /// Whether nobody can say whether it was applied.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Failed { outcome: Outcome::Unknown, .. })
    }

    /// The same after something was applied, in these words: its class does not prove the contrary any more.
    #[must_use]
    pub fn applied(self, what: &str) -> Self {
        match self {
            Self::Failed { outcome, class, cause } if class.proves_nothing_applied() => {
                Self::Failed { outcome, class: ErrorClass::Failed, cause: format!("{what}: {cause}") }
            }
            other => other,
        }
    }
}
