//! The world that runs work in: the real one, or a simulated one, in this process or in another.

use std::sync::Arc;

use jiff::Timestamp;
use runbook_engine::ids::TaskName;
use runbook_steps::{
    ports::Ports,
    world::{Answer, World},
};

use crate::world::Sandboxed;

/// The world that the runs of one coordinator work in.
#[derive(Clone)]
pub enum Outside {
    /// The real one, through these ports.
    Real(Ports),
    /// A simulated one.
    Simulated(Arc<World>),
    /// A simulated one that another process serves.
    Sandboxed(Arc<Sandboxed>),
}

impl Outside {
    /// The ports for whoever is no attempt of a task.
    pub fn ports(&self) -> Ports {
        match self {
            Self::Real(ports) => ports.clone(),
            Self::Simulated(world) => world.ports(),
            Self::Sandboxed(sandbox) => sandbox.ports(),
        }
    }

    /// The ports of one attempt.
    pub(super) fn ports_for(&self, task: &TaskName, attempt: u32) -> Ports {
        match self {
            Self::Real(ports) => ports.clone(),
            Self::Simulated(world) => world.ports_for(task, attempt),
            Self::Sandboxed(sandbox) => sandbox.ports(),
        }
    }

    /// What the world's people say to a gate that opened at this time.
    pub(super) fn people_for(&self, gate: &TaskName, opened_at: Timestamp) -> Vec<Answer> {
        match self {
            Self::Real(_) => Vec::new(),
            Self::Simulated(world) => world.people_for(gate.as_str(), opened_at),
            Self::Sandboxed(sandbox) => sandbox.people_for(gate.as_str(), opened_at),
        }
    }

    /// No world stands before the last entry of a journal that goes on in it.
    pub(super) fn not_before(&self, at: Timestamp) {
        match self {
            Self::Real(ports) => ports.clock.not_before(at),
            Self::Simulated(world) => world.advance_to(at),
            Self::Sandboxed(sandbox) => sandbox.not_before(at),
        }
    }
}
