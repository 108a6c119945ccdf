//! What the core knows of actions: their documentation, nothing of their code.

mod gates;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

pub use self::gates::gates;
use crate::{duration::Span, outcome::Effect, target::Target};

/// All actions that a runbook may use.
pub trait Catalog {
    /// The documentation of one action.
    fn action(&self, name: &str) -> Option<&ActionDoc>;

    /// The names of all actions, sorted.
    fn names(&self) -> Vec<&str>;

    /// How a restoring action brings one machine back; none where it does not choose.
    ///
    /// # Errors
    /// Why that machine cannot be brought back so, as one lower-case sentence: the runbook cannot be planned.
    fn way_back(&self, _asked: &WayBackAsked<'_>) -> Option<Result<WayBack, String>> {
        None
    }
}

/// A machine that a step restores, as the planner knows it.
#[derive(Clone, Copy, Debug)]
pub struct WayBackAsked<'a> {
    /// The restoring action.
    pub action: &'a str,
    /// Its inputs for this machine; what needs a run is still an expression.
    pub inputs: &'a BTreeMap<String, Value>,
    /// The action of the step that makes the backup.
    pub backup: &'a str,
    /// That step's inputs for this machine.
    pub backup_inputs: &'a BTreeMap<String, Value>,
    /// The machine.
    pub target: &'a Target,
}

/// How a machine is brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// The strategy, in the action's words.
    pub strategy: String,
    /// What is gone afterwards.
    pub loses: Vec<String>,
    /// How long it usually takes, in words.
    pub usually: String,
}

/// What an action says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ActionDoc {
    /// `aws/patch`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its `with:`.
    pub inputs: Vec<InputDoc>,
    /// Inputs of which exactly one must be given; empty: no such rule.
    pub exactly_one_of: Vec<&'static str>,
    /// What it does to machines.
    pub effect: EffectDoc,
    /// Whether it wants machines.
    pub targets: TargetsDoc,
    /// How its work is cut.
    pub unit: Unit,
    /// How long one attempt may take when the step does not say.
    pub timeout: TimeoutDoc,
    /// Whether it may be sent again while nobody knows if it was applied.
    pub repeatable: bool,
    /// Whether a completed one is a backup that a machine can be restored from.
    pub backs_up: bool,
    /// Whether it brings a machine back to a backup (input `from`).
    pub restores: bool,
    /// Whether it installs packages as a patchset says, and tells by its outputs what it installed: `platform`, and
    /// `changed` (a list of `name`, `arch`, `from`, `to`; `from` is null where the package is new, `to` where it is gone).
    pub takes_patchset: bool,
    /// The rights that it needs, in the words of the service (`ssm:SendCommand`).
    pub rights: Vec<&'static str>,
    /// What it gives to later steps: name and meaning.
    pub outputs: Vec<(&'static str, &'static str)>,
}

impl ActionDoc {
    /// An action that reads, works once per machine, may be sent again, and takes and gives nothing. Everything else
    /// is said beside it: `ActionDoc { effect: …, ..ActionDoc::new(…) }`.
    pub fn new(name: &'static str, summary: &'static str, timeout: TimeoutDoc) -> Self {
        Self {
            name,
            summary,
            inputs: Vec::new(),
            exactly_one_of: Vec::new(),
            effect: EffectDoc::Always(Effect::Reads),
            targets: TargetsDoc::Required,
            unit: Unit::Target,
            timeout,
            repeatable: true,
            backs_up: false,
            restores: false,
            takes_patchset: false,
            rights: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// One input by its key.
    pub fn input(&self, name: &str) -> Option<&InputDoc> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Whether it is one of the health checks that verify a restore and are repeated after a soak.
    pub fn is_check(&self) -> bool {
        self.name.starts_with("check/")
    }

    /// Whether the core itself waits for it (`gate/*`).
    pub fn is_gate(&self) -> bool {
        self.name.starts_with("gate/")
    }
}

/// One input of an action.
#[derive(Clone, Debug, Serialize)]
pub struct InputDoc {
    /// Its key under `with:`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: InputKind,
    /// Whether it must be given.
    pub required: bool,
    /// What holds when it is absent, in the document's own notation; `null`: nothing.
    pub default: Value,
    /// Whether `secret('NAME')` may stand in it.
    pub secret: bool,
    /// One sentence.
    pub doc: &'static str,
}

impl InputDoc {
    /// One that may be absent; then nothing holds in its place.
    pub fn optional(name: &'static str, kind: InputKind, doc: &'static str) -> Self {
        Self { name, kind, required: false, default: Value::Null, secret: false, doc }
    }

    /// One that must be given.
    pub fn required(name: &'static str, kind: InputKind, doc: &'static str) -> Self {
        Self { required: true, ..Self::optional(name, kind, doc) }
    }

    /// One that holds this when it is absent.
    pub fn defaulting(
        name: &'static str,
        kind: InputKind,
        default: impl Into<Value>,
        doc: &'static str,
    ) -> Self {
        Self { default: default.into(), ..Self::optional(name, kind, doc) }
    }

    /// The same, and `secret('NAME')` may stand in it.
    #[must_use]
    pub fn may_hold_secrets(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// What an input may hold. Wherever a scalar stands, a whole-scalar expression may stand too.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Text.
    String,
    /// Text that a shell on the machine runs: no bare expression in it.
    Script,
    /// `true` or `false`.
    Bool,
    /// A whole number, 0 or more.
    Integer,
    /// `90s`, `15m`, `2h`, `14d`.
    Duration,
    /// RFC 3339, with offset.
    Timestamp,
    /// `http://` or `https://`.
    Url,
    /// A five-field cron expression.
    Cron,
    /// An IANA time zone.
    TimeZone,
    /// The id or path of a step.
    StepRef,
    /// One of these words.
    Enum(Vec<&'static str>),
    /// A list of texts.
    Strings,
    /// Texts by key.
    StringMap,
    /// Lists of texts by key.
    StringListMap,
    /// Anything.
    Any,
}

/// What an action does to machines.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectDoc {
    /// Always the same.
    Always(Effect),
    /// It depends on an input.
    ByInput {
        /// The input.
        input: &'static str,
        /// Its value …
        value: &'static str,
        /// … with which this holds,
        then: Effect,
        /// else this.
        otherwise: Effect,
    },
}

/// Whether the value of an input is this word, or the truth value that is written so.
pub(crate) fn is_written(given: &Value, word: &str) -> bool {
    given
        .as_str()
        .map_or_else(|| given.as_bool().is_some_and(|flag| flag.to_string() == word), |text| text == word)
}

/// Whether an action wants machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetsDoc {
    /// Its step must have targets.
    Required,
    /// With targets it works on them, without it works once.
    Optional,
    /// It never has targets, also inside a block that has.
    Never,
}

/// How an action's work is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Once per machine.
    Target,
    /// Once for all machines of the task.
    Wave,
    /// Once.
    Once,
}

/// The default of `timeout:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutDoc {
    /// This long.
    Fixed(Span),
    /// The inputs `within` and `for` together, and this on top.
    WithinForPlus(Span),
    /// The input `expires`.
    Expires,
    /// The gate's own end (`gate/wait`).
    OwnEnd,
    /// The longest gap between two openings of the window, and this on top.
    LongestGapPlus(Span),
    /// The step must say.
    Required,
}
