//! What a strategy wants next of one machine: derived from what was decided, asked for and seen, never queued.

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};

use super::{deed::Deed, past::Past, sight::Sight};
use crate::{
    actions::aws::{
        back::SILENCE,
        errand::{clock, later, since_then},
    },
    fanout::Done,
};

/// What is next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Something goes on there, or must come by itself: what was last seen.
    Wait(String),
    /// These calls are due.
    Call(Vec<Deed>),
    /// It is over.
    Over(Done),
}

impl Next {
    /// These calls, or what else comes where there are none.
    pub fn calls(deeds: Vec<Deed>, otherwise: impl FnOnce() -> Self) -> Self {
        if deeds.is_empty() { otherwise() } else { Self::Call(deeds) }
    }

    /// It did not work.
    pub fn failed(cause: impl Into<String>) -> Self {
        Self::Over(Done::of(super::record::failed(cause)))
    }
}

/// What is known of one machine.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub machine: &'a TargetId,
    pub past: &'a Past,
    pub sight: &'a Sight,
    pub now: Timestamp,
}

impl Known<'_> {
    /// Whether an instance is back since then: its agent was heard; where it has none, both status checks passed.
    /// Otherwise what is waited for, or that it was silent for too long.
    pub fn back(&self, instance: &str, since: Timestamp) -> Result<(), Next> {
        let state = self.sight.instances.get(instance).map_or("unknown", |seen| seen.state.as_str());
        let (agent, status) = (self.sight.agents.get(instance), self.sight.statuses.get(instance));
        let checks = status.map(|status| [status.system.as_str(), status.reachability.as_str()]);
        // Where nobody hears an agent, EC2's own word must be good; else it must not be bad.
        let sound = match agent {
            Some(_) => checks.is_none_or(|checks| {
                !checks.iter().any(|check| matches!(*check, "impaired" | "initializing"))
            }),
            None => checks.is_some_and(|checks| checks == ["ok", "ok"]),
        };
        let heard =
            agent.is_none_or(|agent| agent.online && agent.last_ping.is_some_and(|ping| ping >= since));
        if state == "running" && sound && heard {
            return Ok(());
        }
        let mut seen = state.to_owned();
        match agent.map(|agent| agent.last_ping) {
            Some(Some(ping)) => seen += &format!(", its agent was last heard {}", clock(ping)),
            Some(None) => seen += ", its agent was never heard",
            None => seen += ", without an agent",
        }
        if let Some([system, reachability]) = checks {
            seen += &format!(", status checks {system} and {reachability}");
        }
        if self.now >= later(since, SILENCE) {
            let cause =
                format!("{instance} was restored {}, not back by {}: {seen}", clock(since), clock(self.now));
            let report = Report::failed(Outcome::Unreachable, ErrorClass::Failed, cause);
            return Err(Next::Over(Done::of(report)));
        }
        Err(Next::Wait(format!("{instance} is {seen}")))
    }

    /// What is new may not be seen yet; after a while it is gone.
    pub fn unseen(&self, what: &str, since: Timestamp) -> Next {
        if since_then(since, self.now) > super::past::VISIBLE {
            Next::failed(format!("{what} is gone"))
        } else {
            Next::Wait(format!("{what} is not seen yet"))
        }
    }
}
