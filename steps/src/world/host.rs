//! This machine, as the simulated world has it: requests that it makes and programs that it runs. Nothing of both is
//! real, so that a rehearsal touches nothing.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    chance,
    door::Door,
    fault_rule::RuleKind,
    fleet::{Durations, Lasting},
    state::{Fact, State, Struck},
    time::later,
};
use crate::ports::{
    fault::Fault,
    http::{Http, Request},
    process::{Ended, Process, Program, Progress},
};

#[async_trait]
impl Http for Door {
    async fn request(&self, request: Request) -> Result<u16, String> {
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

    async fn connect(&self, host: &str, _port: u16, _timeout: Duration) -> Result<(), String> {
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
    let condition = state.machines[machine].now(now);
    Some(match (condition.up, condition.healthy) {
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
    async fn start(&self, program: Program) -> Result<(), String> {
        let label = self.label().cloned();
        let known = self.world.lock().state.programs.contains_key(&program.token);
        if known {
            return Ok(());
        }
        let start = move |state: &mut State, now: Timestamp, struck: &mut Struck| {
            // A program has no machine of its own; where one is named in it, that one's faults apply.
            let named = program.env.values().chain(&program.command).find_map(|text| {
                let mut words = text.split(|c: char| !c.is_alphanumeric() && !"-_.".contains(c));
                words.find_map(|word| state.roster.find(word))
            });
            let rules = state.roster.file.faults.iter().enumerate().filter(|(_, rule)| {
                rule.kind == RuleKind::CommandFailed && rule.fits(label.as_ref()) && rule.targets.is_empty()
            });
            let mut code = 0;
            if let Some(machine) = named {
                let rule = state.strike(machine, RuleKind::CommandFailed, label.as_ref(), struck);
                code = rule.map_or(0, |rule| rule.exit.unwrap_or(1));
            } else if let Some((number, rule)) = rules.into_iter().next()
                && rule.limit().is_none_or(|limit| state.struck_so_far(number as u32, None) < limit)
            {
                struck.push((number as u32, None));
                code = rule.exit.unwrap_or(1);
            }
            let range = state.roster.file.durations.of(&Durations::default(), Lasting::Program);
            let ended = later(now, range.pick(chance::draw(state.seed, &["program", &program.token])));
            Ok((Fact::ProgramStarted { token: program.token, ended, code }, ()))
        };
        self.world.write(self.label(), "process:start", &[], start).await.map_err(|fault| fault.message)
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
        match self.world.lock().state.programs.get(&token) {
            None => return Ok(()),
            Some(program) if now < program.ended => return Err("the program still runs".into()),
            Some(_) => {}
        }
        let forget =
            move |_: &mut State, _, _: &mut Struck| Ok::<_, Fault>((Fact::ProgramForgotten { token }, ()));
        self.world.write(self.label(), "process:forget", &[], forget).await.map_err(|fault| fault.message)
    }
}
