//! Scopes: what starts and ends as a whole.

use serde::{Deserialize, Serialize};

use crate::ids::{ScopeName, StepPath, TargetId};

/// A part of the plan that starts and ends as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Its name; the root's is empty.
    pub name: ScopeName,
    /// What it stands in; absent for the root only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ScopeName>,
    /// What it is.
    pub kind: ScopeKind,
    /// The sibling that must have ended before anything in here starts (waves, parts, soak, finally, rollback).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ScopeName>,
}

/// What a scope is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// The whole plan.
    Root,
    /// One step of the author's with its machines: a composite, or a plain step with targets. Its budget counts here.
    Rollout {
        /// The step.
        step: StepPath,
        /// Its machines, in wave order; empty for a composite without targets.
        targets: Vec<TargetId>,
        /// How many of them may fail.
        max_failures: u32,
    },
    /// One wave of a rollout.
    Wave {
        /// From 1.
        number: u32,
        /// How many there are.
        of: u32,
        /// Its machines.
        targets: Vec<TargetId>,
    },
    /// A consecutive part of a wave (`max_in_flight`).
    Part {
        /// From 1.
        number: u32,
        /// Its machines.
        targets: Vec<TargetId>,
    },
    /// The soak after a wave (a child of the rollout, `after` the wave): its wait, its checks, its branch.
    Soak {
        /// The wave.
        wave: u32,
    },
    /// `finally:`.
    Finally,
    /// What undoes one wave or part (a child of the root).
    Rollback {
        /// The wave's or part's scope that it undoes.
        undoes: ScopeName,
    },
}
