//! The port to hosts of our own, in the simulated world.

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{ids::TargetId, target::Target};

use super::{
    decision::{Decision, USUAL_OS, word},
    fact::HostFact,
    reach::reach,
    stock::{Unfit, arch, manager},
};
use crate::{
    ports::{
        fault::{Fault, FaultKind},
        linux::{
            Change, Facts, Job, Linux, LogAsked, Look, Manager, Order, Package, Progress, Seen, ServiceState,
            Update,
        },
    },
    world::{
        door::Door,
        part::boot_id,
        state::{Fact, State, Struck},
    },
};

impl Door {
    /// Asks a host that answers.
    async fn ask<T: Send>(
        &self,
        host: &Target,
        call: &'static str,
        answer: impl FnOnce(&State, usize, Timestamp) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        let ids = [host.id.clone()];
        self.world
            .read(self.label(), call, &ids, |state, now| {
                let machine = reach(state, host, now, self.label())?;
                answer(state, machine, now)
            })
            .await
    }

    /// Decides with a host that answers.
    async fn decide<T: Send>(
        &self,
        host: &Target,
        call: &'static str,
        answer: impl FnOnce(&Decision<'_>) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        self.ask(host, call, |state, machine, now| {
            answer(&Decision { state, machine, now, label: self.label(), deed: "" })
        })
        .await
    }

    /// Does something on a host that answers.
    async fn act(
        &self,
        host: &Target,
        call: &'static str,
        decide: impl FnOnce(&State, usize, Timestamp, &mut Struck) -> Result<Fact, Fault> + Send,
    ) -> Result<(), Fault> {
        let ids = [host.id.clone()];
        let label = self.label().cloned();
        self.world
            .write(self.label(), call, &ids, move |state, now, struck| {
                let machine = reach(state, host, now, label.as_ref())?;
                Ok((decide(state, machine, now, struck)?, ()))
            })
            .await
    }
}

fn id(state: &State, machine: usize) -> TargetId {
    state.roster.machines[machine].id.clone()
}

fn fault(call: &'static str, kind: FaultKind, message: impl Into<String>) -> Fault {
    Fault { call, kind, code: None, message: message.into() }
}

#[async_trait]
impl Linux for Door {
    async fn facts(&self, host: &Target) -> Result<Facts, Fault> {
        self.ask(host, "ssh:facts", |state, machine, _| Ok(facts(state, machine))).await
    }

    async fn boot(&self, host: &Target) -> Result<String, Fault> {
        self.ask(host, "ssh:boot", |state, machine, _| {
            Ok(boot_id(state, machine, state.machines[machine].condition().boots))
        })
        .await
    }

    async fn packages(&self, host: &Target) -> Result<Vec<Package>, Fault> {
        self.decide(host, "ssh:packages", |decision| Ok(decision.shelf(None, |shelf| shelf.installed())))
            .await
    }

    async fn pending(&self, host: &Target) -> Result<Vec<Update>, Fault> {
        self.decide(host, "ssh:pending", |decision| Ok(decision.shelf(None, |shelf| shelf.pending()))).await
    }

    async fn rehearse(&self, host: &Target, order: &Order) -> Result<Vec<Change>, Fault> {
        const CALL: &str = "ssh:rehearse";
        self.decide(host, CALL, |decision| {
            let rehearsed = decision.shelf(order.kept.as_deref(), |shelf| shelf.rehearse(order));
            rehearsed.map_err(|unfit| match unfit {
                Unfit::Missing(why) => fault(CALL, FaultKind::NotFound, why),
                Unfit::Refused(why) => fault(CALL, FaultKind::Invalid, why),
            })
        })
        .await
    }

    async fn service(&self, host: &Target, name: &str) -> Result<ServiceState, Fault> {
        const CALL: &str = "ssh:service";
        self.ask(host, CALL, |state, machine, _| {
            if !state.roster.group(machine).services.iter().any(|known| known == name) {
                return Err(fault(CALL, FaultKind::NotFound, format!("there is no service {name}")));
            }
            let condition = state.machines[machine].condition();
            let stopped = condition.stock.stopped.contains(name);
            let words = match (stopped, condition.content.healthy) {
                (true, _) => "inactive (dead)",
                (false, true) => "active (running)",
                (false, false) => "failed",
            };
            let active = !stopped && condition.content.healthy;
            Ok(ServiceState { active, enabled: Some(true), words: words.to_owned() })
        })
        .await
    }

    async fn look(&self, host: &Target, look: &Look) -> Result<Seen, Fault> {
        let well = look.looks_for.unwrap_or_default();
        self.ask(host, "ssh:look", |state, machine, _| {
            let sick = if well == 1 { 2 } else { 1 };
            let code = if state.machines[machine].condition().is_well() { well } else { sick };
            Ok(Seen { code: Some(code), stdout: String::new(), stderr: String::new() })
        })
        .await
    }

    async fn log(&self, host: &Target, asked: &LogAsked) -> Result<Vec<String>, Fault> {
        // Nothing writes logs here: a sick host stands for every line that should not be there, a healthy one for every
        // line that should.
        self.ask(host, "ssh:log", |state, machine, _| {
            let well = state.machines[machine].condition().is_well();
            let line = if well { "simulated: the service is well" } else { "simulated: the service failed" };
            Ok(if well == asked.wanted { vec![line.to_owned()] } else { Vec::new() })
        })
        .await
    }

    async fn start(&self, host: &Target, job: &Job) -> Result<(), Fault> {
        const CALL: &str = "ssh:start";
        self.act(host, CALL, |state, machine, now, struck| {
            if state.hosts.knows(&job.token) {
                return Ok(Fact::repeated(CALL, vec![id(state, machine)], &job.token));
            }
            if job.exclusive
                && let Some(run) = state.hosts.held_by(&id(state, machine), now)
            {
                let why = format!("a job of run {run} is on {}", host.name);
                return Err(fault(CALL, FaultKind::Busy, why));
            }
            let deed = word(&job.deed);
            let decision = Decision { state, machine, now, label: self.label(), deed };
            Ok(Fact::Hosts(HostFact::Started(Box::new(decision.decide(job, struck)))))
        })
        .await
    }

    async fn progress(&self, host: &Target, token: &str) -> Result<Progress, Fault> {
        self.ask(host, "ssh:progress", |state, _, now| Ok(state.hosts.progress(token, now))).await
    }

    async fn end(&self, host: &Target, token: &str) -> Result<(), Fault> {
        let known = self.world.lock().state.hosts.knows(token);
        if !known {
            return Ok(());
        }
        self.act(host, "ssh:end", |state, machine, _, _| {
            let (token, machine) = (token.to_owned(), id(state, machine));
            Ok(Fact::Hosts(HostFact::Ended { token, machine }))
        })
        .await
    }

    async fn forget(&self, host: &Target, token: &str) -> Result<(), Fault> {
        const CALL: &str = "ssh:forget";
        let known = self.world.lock().state.hosts.knows(token);
        if !known {
            return Ok(());
        }
        self.act(host, CALL, |state, machine, now, _| {
            if state.hosts.is_running(token, now) {
                return Err(fault(CALL, FaultKind::Busy, "the job still runs"));
            }
            let (token, machine) = (token.to_owned(), id(state, machine));
            Ok(Fact::Hosts(HostFact::Forgotten { token, machine }))
        })
        .await
    }
}

fn facts(state: &State, machine: usize) -> Facts {
    let group = state.roster.group(machine);
    let condition = state.machines[machine].condition();
    let os = group.os.as_deref().unwrap_or(USUAL_OS);
    let manager = manager(os).unwrap_or(Manager::Apt);
    let (name, version) = os.split_once('-').unwrap_or((os, ""));
    let sick = if condition.content.healthy { None } else { group.services.first() };
    let mut snapshots = group.snapshots.clone();
    snapshots.dedup();
    Facts {
        os: name.to_owned(),
        os_version: version.to_owned(),
        os_name: format!("{name} {version}").trim().to_owned(),
        arch: arch(manager).to_owned(),
        kernel: "6.1.0-1".to_owned(),
        boot_id: boot_id(state, machine, condition.boots),
        manager,
        transactional: false,
        systemd: true,
        reboot_needed: condition
            .stock
            .reboot
            .iter()
            .map(|package| format!("{package} was updated"))
            .collect(),
        failed_units: sick.map(|name| format!("{name}.service")).into_iter().collect(),
        free: [("/".to_owned(), 20_u64 << 30)].into(),
        holds: group.packages.iter().filter(|entry| entry.held).map(|entry| entry.name.clone()).collect(),
        automatic: group.automatic.clone(),
        broken: condition.stock.broken.clone(),
        last_patched: condition.stock.changed_at,
        snapshots,
        running: Vec::new(),
        several: Vec::new(),
    }
}
