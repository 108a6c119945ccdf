//! The typed document. Every value knows its place, so that checks made late can still point at it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    connection::{Connection, Sudo},
    diagnostic::Place,
    duration::Span,
    outcome::{Effect, ErrorClass},
};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

/// A runbook, or a file that `run:` names.
#[derive(Clone, Debug, PartialEq)]
pub struct Runbook {
    /// `runbook:`.
    pub name: Spanned<String>,
    /// `description:`.
    pub description: Option<String>,
    /// `env:`: the environment variables that expressions may read.
    pub env: Vec<Spanned<String>>,
    /// `params:`, in the order written.
    pub params: Vec<Param>,
    /// `targets:`, in the order written.
    pub targets: Vec<TargetGroup>,
    /// `patchset:`.
    pub patchset: Option<Patchset>,
    /// `blocks:`.
    pub blocks: Vec<Block>,
    /// `steps:`.
    pub steps: Vec<Step>,
    /// `finally:`.
    pub finally: Vec<Step>,
    /// `notify:`.
    pub notify: Vec<Notify>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Spanned<String>,
    /// `type:`.
    pub kind: ParamKind,
    /// `enum:`, if given.
    pub choices: Option<Vec<Value>>,
    /// `default:`; a parameter without one must be given.
    pub default: Option<Spanned<Value>>,
    /// `description:`.
    pub description: Option<String>,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// `string`
    String,
    /// `integer`
    Integer,
    /// `number`
    Number,
    /// `boolean`
    Boolean,
    /// `duration`
    Duration,
    /// `list`: of strings
    List,
}

impl ParamKind {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::String, Self::Integer, Self::Number, Self::Boolean, Self::Duration, Self::List];

    /// The word used in `type:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::List => "list",
        }
    }

    /// The type as a sentence names it.
    pub fn described(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Duration => "a duration like 90s, 15m, 2h or 14d",
            Self::List => "a list of texts",
        }
    }
}

/// One target group.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroup {
    /// Its name.
    pub name: Spanned<String>,
    /// Which machines.
    pub spec: TargetSpec,
}

/// Which machines. Texts may hold expressions over `params` and `env`.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetSpec {
    /// `aws:`.
    Aws {
        /// `tags:`: every tag must have (one of) the values.
        tags: BTreeMap<String, Vec<Spanned<String>>>,
        /// `ids:`.
        ids: Vec<Spanned<String>>,
        /// `resource_group:`.
        resource_group: Option<Spanned<String>>,
        /// `region:`.
        region: Option<Spanned<String>>,
        /// `role:`.
        role: Option<Spanned<String>>,
        /// `external_id:`.
        external_id: Option<Spanned<String>>,
    },
    /// `hosts:` written down here.
    Hosts(Vec<HostSpec>),
    /// `hosts: { inventory, group }`.
    HostInventory {
        /// The file, relative to the runbook.
        file: Spanned<String>,
        /// The group in it.
        group: Option<Spanned<String>>,
    },
    /// `all_of:` (machines that are in each of these groups) and/or `minus:` (and in none of those). With `minus:` alone
    /// beside `aws:` or `hosts:`, `base` holds these.
    Combined {
        /// `aws:` or `hosts:` beside `minus:`.
        base: Option<Box<TargetSpec>>,
        /// `all_of:`.
        all_of: Vec<Spanned<String>>,
        /// `minus:`.
        minus: Vec<Spanned<String>>,
    },
}

/// One host written down.
#[derive(Clone, Debug, PartialEq)]
pub struct HostSpec {
    /// Its name.
    pub name: Spanned<String>,
    /// `address:`; absent: the name.
    pub address: Option<Spanned<String>>,
    /// `vars:`.
    pub vars: BTreeMap<String, Value>,
    /// `connection:`.
    pub connection: ConnectionSpec,
    /// `environment:`.
    pub environment: Option<Spanned<String>>,
    /// `owner:`.
    pub owner: Option<Spanned<String>>,
}

impl HostSpec {
    /// Its texts, which may hold expressions; without its variables.
    pub fn texts(&self) -> impl Iterator<Item = &Spanned<String>> {
        let texts = [&self.address, &self.environment, &self.owner];
        texts.into_iter().flatten().chain(self.connection.texts())
    }
}

/// `connection:` of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectionSpec {
    /// `port:`.
    pub port: Option<Spanned<u16>>,
    /// `user:`.
    pub user: Option<Spanned<String>>,
    /// `identity:`.
    pub identity: Option<Spanned<String>>,
    /// `config:`.
    pub config: Option<Spanned<String>>,
    /// `jump:`.
    pub jump: Vec<Spanned<String>>,
    /// `sudo:`.
    pub sudo: Option<Spanned<Sudo>>,
    /// `sudo_password:`, the name of a secret.
    pub sudo_password: Option<Spanned<String>>,
}

impl ConnectionSpec {
    /// Its texts, which may hold expressions.
    pub fn texts(&self) -> impl Iterator<Item = &Spanned<String>> {
        let texts = [&self.user, &self.identity, &self.config, &self.sudo_password];
        texts.into_iter().flatten().chain(&self.jump)
    }

    /// The connection, with each text as `text` renders it.
    pub fn rendered(&self, mut text: impl FnMut(&Spanned<String>) -> String) -> Connection {
        let mut option = |spec: &Option<Spanned<String>>| spec.as_ref().map(&mut text);
        Connection {
            port: self.port.as_ref().map(|port| port.value),
            user: option(&self.user),
            identity: option(&self.identity),
            config: option(&self.config),
            sudo: self.sudo.as_ref().map(|sudo| sudo.value),
            sudo_password: option(&self.sudo_password),
            jump: self.jump.iter().map(text).collect(),
        }
    }
}

/// `patchset:`: later steps install exactly what this one installed and verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Patchset {
    /// `from:`: a step of the root.
    pub from: Spanned<String>,
}

/// A block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its name.
    pub name: Spanned<String>,
    /// Its steps, in the order written.
    pub steps: Vec<Step>,
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its id.
    pub id: Spanned<String>,
    /// `description:`.
    pub description: Option<String>,
    /// `uses:` or `run:`.
    pub what: What,
    /// `with:`; every text in it may hold expressions.
    pub with: Vec<Input>,
    /// Where the key `with` stands, if it does.
    pub with_place: Option<Place>,
    /// `needs:`.
    pub needs: Vec<Spanned<String>>,
    /// `on_failure:`.
    pub on_failure: Vec<Spanned<String>>,
    /// `targets:`.
    pub targets: Option<Spanned<StepTargets>>,
    /// `timeout:`.
    pub timeout: Option<Spanned<Span>>,
    /// `retry:`.
    pub retry: Option<Retry>,
    /// `when:`, without the braces if it had them.
    pub when: Option<Spanned<String>>,
    /// `rollout:`.
    pub rollout: Option<Rollout>,
    /// `effect:`.
    pub effect: Option<Spanned<Effect>>,
    /// `backs_up:`.
    pub backs_up: Option<Spanned<bool>>,
    /// `restores:`.
    pub restores: Option<Spanned<String>>,
    /// `way_back: none`, with its `because:`.
    pub no_way_back: Option<Spanned<String>>,
    /// `resolve_within:`; default 24 h.
    pub resolve_within: Option<Spanned<Span>>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// `uses: aws/patch`.
    Uses(Spanned<String>),
    /// `run: <block>`.
    Block(Spanned<String>),
    /// `run: ./file.yaml`, read already. Its groups, `finally` and `notify` are empty.
    File {
        /// As written.
        path: Spanned<String>,
        /// What it holds; absent when it could not be read (a diagnostic says so).
        runbook: Option<Box<Runbook>>,
    },
}

/// One entry of `with:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its key.
    pub key: Spanned<String>,
    /// Its value, as JSON; expressions not yet rendered.
    pub value: Spanned<Value>,
    /// Every expression in its texts, without the braces: in the order in which they are met in `value`, mappings in the
    /// order of their keys.
    pub expressions: Vec<Spanned<String>>,
}

/// `targets:` of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum StepTargets {
    /// A group.
    Group(String),
    /// `failed_in: [steps]`.
    FailedIn(Vec<Spanned<String>>),
    /// `touched_by: [steps]`.
    TouchedBy(Vec<Spanned<String>>),
}

/// `retry:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// `attempts:`, in all.
    pub attempts: Spanned<u32>,
    /// `errors:`; empty: any class.
    pub errors: Vec<ErrorClass>,
    /// `delay:` before the second attempt, doubled for each further one; default 30 s.
    pub delay: Option<Span>,
}

/// A number or a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// `5`.
    Count(u32),
    /// `5%`, 0 to 100.
    Percent(u32),
}

impl Amount {
    /// So many of `total`, a share rounded up (waves).
    pub fn of_rounded_up(self, total: usize) -> usize {
        match self {
            Self::Count(n) => n as usize,
            Self::Percent(p) => (total * p as usize).div_ceil(100),
        }
    }

    /// So many of `total`, a share rounded down (budgets).
    pub fn of_rounded_down(self, total: usize) -> usize {
        match self {
            Self::Count(n) => n as usize,
            Self::Percent(p) => total * p as usize / 100,
        }
    }
}

/// `rollout:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Where it stands.
    pub place: Place,
    /// `waves:`; empty: one wave.
    pub waves: Vec<Spanned<Amount>>,
    /// `soak:`.
    pub soak: Option<Spanned<Span>>,
    /// `max_failures:`; default 0.
    pub max_failures: Option<Spanned<Amount>>,
    /// `window:`: a `gate/window` step.
    pub window: Option<Spanned<String>>,
    /// `first:`: names of the canaries.
    pub first: Vec<Spanned<String>>,
    /// `spread:`: a tag (or a variable of hosts).
    pub spread: Option<Spanned<String>>,
    /// `max_in_flight:`.
    pub max_in_flight: Option<Spanned<Amount>>,
}

/// One entry of `notify:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// `events:`.
    pub events: Vec<Spanned<String>>,
    /// The inputs of `webhook:` (those of `notify/webhook`).
    pub webhook: Vec<Input>,
    /// Where it stands.
    pub place: Place,
}
