//! This machine, as the simulated world has it: requests that it makes and programs that it runs. Nothing of both is
//! real, so that a rehearsal touches nothing.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    chance,
    door::Door,
    durations::{Durations, Lasting},
    fault_rule::{Label, RuleKind},
    machine::Change,
    state::{Fact, Program as Known, State, Struck},
    time::later,
};
use crate::ports::{
    fault::Fault,
    hindrance::Hindrance,
    http::{Http, Request},
    process::{Ended, Process, Program, Progress},
};

#[async_trait]
impl Http for Door {
    async fn request(&self, request: Request) -> Result<u16, Hindrance> {
        let host = host_of(&request.url).ok_or("the URL names no host")?.to_owned();
        let ask = |state: &mut State, now: Timestamp| Ok(health(state, &host, now));
        let call = if request.method == "GET" { "http:GET" } else { "http:POST" };
        match self.world.read(self.label(), call, &[], ask).await.map_err(|fault| fault.message)? {
            Some(Health::Well) => Ok(200),
            Some(Health::Sick) => Ok(503),
            Some(Health::Down) => Err("connection refused".into()),
            None if request.method == "GET" => Ok(200),
            None => {
                let post = move |_: &mut State, _, _: &mut Struck| Ok((Fact::MessagePosted { host }, ()));
                self.world
                    .write(self.label(), "http:POST", &[], post)
                    .await
                    .map_err(|fault| fault.message)?;
                Ok(200)
            }
        }
    }

    async fn connect(&self, host: &str, _port: u16, _timeout: Duration) -> Result<(), Hindrance> {
        let ask = |state: &mut State, now: Timestamp| Ok(health(state, host, now));
        match self.world.read(self.label(), "tcp:connect", &[], ask).await.map_err(|fault| fault.message)? {
            None | Some(Health::Well) => Ok(()),
            Some(Health::Sick | Health::Down) => Err("connection refused".into()),
        }
    }
}

/// How a machine answers.
enum Health {
    Well,
    Sick,
    Down,
}

/// How the machine behind a host name answers; `None`: it is none of ours, and takes what it gets.
fn health(state: &mut State, host: &str, now: Timestamp) -> Option<Health> {
    let machine = state.roster.find(host)?;
    if state.is_gone(machine, now, true) {
        return Some(Health::Down);
    }
    let condition = state.machines[machine].condition();
    Some(match (condition.up && !condition.cut_off, condition.content.healthy) {
        (false, _) => Health::Down,
        (true, false) => Health::Sick,
        (true, true) => Health::Well,
    })
}

/// The host that a URL names.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit('@').next()?;
    let host = match place.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => place.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

#[async_trait]
impl Process for Door {
    async fn start(&self, program: Program) -> Result<(), Hindrance> {
        if self.world.lock().state.programs.contains_key(&program.token) {
            return Ok(());
        }
        if program.looks_for.is_some() {
            // Looking changes nothing: the state file need not know.
            let look = |state: &mut State, now: Timestamp| {
                look(state, &program, now);
                Ok(())
            };
            return self
                .world
                .read(self.label(), "process:look", &[], look)
                .await
                .map_err(|fault| fault.message.into());
        }
        let label = self.label().cloned();
        let start = move |state: &mut State, now: Timestamp, struck: &mut Struck| {
            Ok((run(state, program, now, label.as_ref(), struck), ()))
        };
        self.world
            .write(self.label(), "process:start", &[], start)
            .await
            .map_err(|fault| fault.message.into())
    }

    async fn progress(&self, token: &str) -> Result<Progress, String> {
        let progress = |state: &mut State, now: Timestamp| {
            Ok(match state.programs.get(token) {
                None => Progress::Absent,
                Some(program) if now < program.ended => Progress::Running,
                Some(program) => Progress::Ended(Ended {
                    code: program.code,
                    stdout: String::new(),
                    stderr: String::new(),
                    ended_at: Some(program.ended),
                }),
            })
        };
        self.world.read(self.label(), "process:progress", &[], progress).await.map_err(|fault| fault.message)
    }

    async fn kill(&self, token: &str) -> Result<(), String> {
        let token = token.to_owned();
        let kill =
            move |_: &mut State, _, _: &mut Struck| Ok::<_, Fault>((Fact::ProgramKilled { token }, ()));
        self.world.write(self.label(), "process:kill", &[], kill).await.map_err(|fault| fault.message)
    }

    async fn forget(&self, token: &str) -> Result<(), String> {
        let token = token.to_owned();
        let now = self.world.now();
        let known = self.world.lock().state.programs.get(&token).cloned();
        match known {
            None => return Ok(()),
            Some(program) if now < program.ended => return Err("the program still runs".into()),
            Some(program) if program.only_looked => {
                self.world.lock().state.programs.remove(&token);
                return Ok(());
            }
            Some(_) => {}
        }
        let forget =
            move |_: &mut State, _, _: &mut Struck| Ok::<_, Fault>((Fact::ProgramForgotten { token }, ()));
        self.world.write(self.label(), "process:forget", &[], forget).await.map_err(|fault| fault.message)
    }
}

/// What names the machine that a program works for.
pub(super) const NAMED: &str = "RUNBOOK_TARGET_ID";

/// The machine that a program works for: the one in its environment.
fn machine_of(state: &State, program: &Program) -> Option<usize> {
    program.env.get(NAMED).and_then(|id| state.roster.find(id))
}

/// When a program that starts now ends.
fn end_of(state: &State, program: &Program, now: Timestamp) -> Timestamp {
    let range = state.roster.file.durations.of(&Durations::default(), Lasting::Program);
    later(now, range.pick(chance::draw(state.seed, &["program", &program.token])))
}

fn look(state: &mut State, program: &Program, now: Timestamp) {
    let ended = end_of(state, program, now);
    let well = program.looks_for.unwrap_or_default();
    let code = match machine_of(state, program).map(|machine| state.machines[machine].at(ended)) {
        Some(seen) if !seen.is_well() => {
            if well == 1 {
                2
            } else {
                1
            }
        }
        Some(_) | None => well,
    };
    state.programs.insert(program.token.clone(), Known { ended, code, only_looked: true });
}

/// Decides what becomes of a program. Faults that name no step are about commands and patches, not about programs.
pub(super) fn run(
    state: &State,
    program: Program,
    now: Timestamp,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Fact {
    let ended = end_of(state, &program, now);
    let machine = machine_of(state, &program);
    let mut code = 0;
    let mut changes = Vec::new();
    match machine {
        Some(machine) => {
            if let Some(rule) = state.strike(machine, RuleKind::CommandFailed, label, struck) {
                code = rule.exit.unwrap_or(1);
            } else {
                let spoils = state
                    .roster
                    .rules_for(machine, RuleKind::UnhealthyAfterPatch, label)
                    .any(|(_, rule)| rule.step.is_some());
                let rule = if spoils {
                    state.strike(machine, RuleKind::UnhealthyAfterPatch, label, struck)
                } else {
                    None
                };
                changes.push(match rule {
                    Some(rule) => (later(ended, rule.after.unwrap_or_default().get()), Change::Spoiled),
                    None => (ended, Change::Mended),
                });
            }
        }
        None => {
            let rules = state.roster.file.faults.iter().enumerate();
            let mut rules = rules.filter(|(_, rule)| {
                rule.kind == RuleKind::CommandFailed
                    && rule.step.is_some()
                    && rule.targets.is_empty()
                    && rule.fits(label)
            });
            if let Some((number, rule)) = rules.next()
                && rule.limit().is_none_or(|limit| state.struck_so_far(number as u32, None) < limit)
            {
                struck.push((number as u32, None));
                code = rule.exit.unwrap_or(1);
            }
        }
    }
    let machine = machine.map(|machine| state.roster.machines[machine].id.clone());
    let stranger = program.env.get(NAMED).filter(|_| machine.is_none()).cloned();
    Fact::ProgramStarted { token: program.token, ended, code, machine, stranger, changes }
}
