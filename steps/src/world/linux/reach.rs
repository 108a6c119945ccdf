//! Whether a host lets anybody in.

use jiff::Timestamp;
use runbook_engine::target::{Home, Target};

use crate::{
    ports::fault::{Fault, FaultKind},
    world::{
        fault_rule::{Label, RuleKind},
        state::State,
        time::later,
    },
};

/// The machine that a target is, whatever stands in the way of reaching it.
pub fn machine(state: &State, host: &Target) -> Option<usize> {
    let by_address = || match &host.home {
        Home::Host { address, .. } => state.roster.find(address),
        Home::Aws { .. } => None,
    };
    state.roster.by_id(&host.id).or_else(by_address)
}

/// The machine that answers, or why none does.
pub fn reach(state: &State, host: &Target, now: Timestamp, label: Option<&Label>) -> Result<usize, Fault> {
    let fault = |kind, message: String| Fault { call: "ssh:connect", kind, code: None, message };
    let name = &host.name;
    let Some(place) = machine(state, host) else {
        return Err(fault(FaultKind::NotSent, format!("the name {name} is not known")));
    };
    let holds = |kind| {
        let start = state.roster.file.start;
        let mut rules = state.roster.rules_for(place, kind, label);
        rules.any(|(_, rule)| now >= later(start, rule.after.unwrap_or_default().get()))
    };
    let condition = state.machines[place].condition();
    let silent = !condition.up || condition.cut_off || holds(RuleKind::Unreachable);
    if silent || state.is_gone(place, now, false) {
        return Err(fault(FaultKind::NotSent, format!("{name} does not answer")));
    }
    if holds(RuleKind::HostKeyChanged) {
        let message = format!("the host key of {name} is not the one that is known: ssh-keygen -R {name}");
        return Err(fault(FaultKind::Target, message));
    }
    if holds(RuleKind::SudoRefused) {
        return Err(fault(FaultKind::Denied, format!("sudo wants a password on {name}")));
    }
    Ok(place)
}
