//! Ansible on this machine, as the simulated world has it: a playbook is one program, and one more for each host that it
//! works on, whose exit code says how that host comes out.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    door::Door,
    fault_rule::{Label, RuleKind},
    host::run,
    state::{Fact, Program as Known, State, Struck},
    time::later,
};
use crate::ports::{
    ansible::{Ansible, Counts, HostTold, Play, Told, Trouble},
    hindrance::Hindrance,
    process::Program,
};

/// What the task of a simulated playbook is called.
const TASK: &str = "work";

/// The code of a host that could not be reached: that of ssh.
const UNREACHABLE: i32 = 255;

#[async_trait]
impl Ansible for Door {
    async fn start(&self, play: Play) -> Result<(), Hindrance> {
        // Each host at most once, and the playbook itself last: what was cut short in between is gone on with.
        for host in &play.hosts {
            let token = of_host(&play.token, host);
            if self.world.lock().state.programs.contains_key(&token) {
                continue;
            }
            let env = BTreeMap::from([("RUNBOOK_TARGET_ID".to_owned(), host.clone())]);
            let program = Program { token, command: Vec::new(), env, looks_for: None };
            let (label, check) = (self.label().cloned(), play.check);
            let start = move |state: &mut State, now: Timestamp, struck: &mut Struck| {
                Ok((begin(state, program, now, label.as_ref(), struck, check), ()))
            };
            let started = self.world.write(self.label(), "process:start", &[], start).await;
            started.map_err(|fault| fault.message)?;
        }
        let token = play.token.clone();
        if self.world.lock().state.programs.contains_key(&token) {
            return Ok(());
        }
        let start = move |state: &mut State, now: Timestamp, _: &mut Struck| {
            let parts = parts(state, &token);
            let ended = parts.values().map(|part| part.ended).max().unwrap_or(now);
            let code = if parts.values().any(|part| part.code == UNREACHABLE) {
                4
            } else if parts.values().any(|part| part.code != 0) {
                2
            } else {
                0
            };
            Ok((
                Fact::ProgramStarted {
                    token,
                    ended,
                    code,
                    machine: None,
                    stranger: None,
                    changes: Vec::new(),
                },
                (),
            ))
        };
        let started = self.world.write(self.label(), "process:start", &[], start).await;
        started.map_err(|fault| fault.message.into())
    }

    async fn told(&self, token: &str) -> Result<Told, String> {
        let tell = |state: &mut State, now: Timestamp| {
            let Some(whole) = state.programs.get(token).cloned() else { return Ok(Told::default()) };
            let parts = parts(state, token);
            // One that was asked to end did so before its hosts had.
            let finished = whole.ended <= now && parts.values().all(|part| part.ended <= whole.ended);
            let hosts =
                parts.into_iter().map(|(host, part)| (host, of_part(&part, whole.ended.min(now), finished)));
            Ok(Told { loaded: true, elsewhere: None, finished, hosts: hosts.collect() })
        };
        self.world.read(self.label(), "process:progress", &[], tell).await.map_err(|fault| fault.message)
    }

    async fn forget(&self, token: &str) -> Result<(), String> {
        let hosts: Vec<String> = parts(&self.world.lock().state, token).into_keys().collect();
        for token in hosts.iter().map(|host| of_host(token, host)).chain([token.to_owned()]) {
            crate::ports::process::Process::forget(self, &token).await?;
        }
        Ok(())
    }
}

fn of_host(token: &str, host: &str) -> String {
    format!("{token}/{host}")
}

/// The programs of a playbook's hosts.
fn parts(state: &State, token: &str) -> BTreeMap<String, Known> {
    let host = |key: &String| key.strip_prefix(token)?.strip_prefix('/').map(str::to_owned);
    state.programs.iter().filter_map(|(key, program)| Some((host(key)?, program.clone()))).collect()
}

/// What becomes of one host. A machine that is down, or not there, is not worked on.
fn begin(
    state: &State,
    program: Program,
    now: Timestamp,
    label: Option<&Label>,
    struck: &mut Struck,
    check: bool,
) -> Fact {
    let machine = program.env.get("RUNBOOK_TARGET_ID").and_then(|id| state.roster.find(id));
    let up = machine.is_none_or(|machine| {
        let condition = state.machines[machine].condition();
        let start = state.roster.file.start;
        let mut silent = state.roster.rules_for(machine, RuleKind::Unreachable, label);
        let silent = silent.any(|(_, rule)| now >= later(start, rule.after.unwrap_or_default().get()));
        condition.up && !condition.cut_off && !silent && !state.is_gone(machine, now, true)
    });
    if !up {
        let token = program.token;
        // Nothing was done: whoever counts what is done twice tells it by its token.
        return Fact::ProgramStarted {
            stranger: Some(token.clone()),
            token,
            ended: now,
            code: UNREACHABLE,
            machine: None,
            changes: Vec::new(),
        };
    }
    match run(state, program, now, label, struck) {
        Fact::ProgramStarted { token, ended, code, machine, stranger, .. } if check => {
            Fact::ProgramStarted { token, ended, code, machine, stranger, changes: Vec::new() }
        }
        fact => fact,
    }
}

fn of_part(part: &Known, until: Timestamp, finished: bool) -> HostTold {
    if part.ended > until {
        return HostTold { began: 1, running: Some(TASK.to_owned()), ..HostTold::default() };
    }
    let counts = match part.code {
        0 => Counts { ok: 1, changed: 1, ..Counts::default() },
        UNREACHABLE => Counts { unreachable: 1, ..Counts::default() },
        _ => Counts { failures: 1, ..Counts::default() },
    };
    let trouble =
        |unreachable, message: String| Trouble { unreachable, task: TASK.to_owned(), message, after: 0 };
    let trouble = match part.code {
        0 => None,
        UNREACHABLE => Some(trouble(true, "Connection timed out".to_owned())),
        code => Some(trouble(false, format!("non-zero return code, exit code {code}"))),
    };
    HostTold {
        counts: finished.then_some(counts),
        ended: u64::from(trouble.is_none()),
        changes: if trouble.is_none() { vec![TASK.to_owned()] } else { Vec::new() },
        began: 1,
        running: None,
        trouble,
        cut: false,
    }
}
