//! What is done before an errand is sent: machines that cannot take it are left out, and what must be known is read.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};
use serde_json::to_value;

use super::{
    boot::boots,
    errand::{Ending, Errand, Road, clock},
    others::Other,
    patience::{Stopping, not_applied, not_begun, read, refusal},
    relay::Event,
};
use crate::{
    action::Failure,
    context::StopReason,
    ports::fault::{Fault, FaultKind},
};

/// How often machines are looked at that somebody else is at work on.
const EVERY: Duration = Duration::from_secs(30);

/// The checkpoint that keeps the boots of an errand's machines begins with this.
pub(super) const BOOTS: &str = "boots/";

impl Errand {
    /// Takes the machines out whose agents are not heard: a command to them would wait in vain, and nobody could tell
    /// later whether it ran.
    pub async fn leave_silent_ones(&mut self, road: &Road) -> Result<(), Failure> {
        if !self.asks_first {
            return Ok(());
        }
        let ctx = &road.ctx;
        let ssm = road.ssm(&self.home)?;
        let ask = || async {
            let _permit = road.calls.acquire().await;
            ssm.agents(&self.targets).await
        };
        let agents = match read(ctx, self.token(ctx), ask).await? {
            Some(Ok(agents)) => agents,
            Some(Err(fault)) if fault.kind == FaultKind::Unsupported => return Ok(()),
            Some(Err(fault)) => {
                self.over(road, not_applied(refusal(&fault)));
                return Ok(());
            }
            None => {
                self.over(
                    road,
                    not_begun(ctx.stopping(), "the service did not say in time whether the agent is heard"),
                );
                return Ok(());
            }
        };
        let mut agents: BTreeMap<_, _> =
            agents.into_iter().map(|agent| (agent.instance.clone(), agent)).collect();
        for machine in std::mem::take(&mut self.targets) {
            let cause = match agents.remove(&machine) {
                Some(agent) if agent.online => {
                    self.targets.push(machine);
                    continue;
                }
                Some(agent) => format!("the agent is not heard{}", since(agent.last_ping)),
                None => "Systems Manager does not know the machine, or it is stopped".into(),
            };
            let report = Report::failed(Outcome::Unreachable, ErrorClass::Undeliverable, cause);
            road.tell(self.leg, machine, Ending::Known(report));
        }
        Ok(())
    }

    /// Takes the machines out that somebody else patches right now.
    pub async fn leave_busy_ones(&mut self, road: &Road) -> Result<BTreeMap<TargetId, Other>, Failure> {
        if !self.alone || self.targets.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ctx = &road.ctx;
        let ssm = road.ssm(&self.home)?;
        let ask = || async {
            let _permit = road.calls.acquire().await;
            road.others.on(&self.home, &ssm, &self.targets, ctx.now()).await
        };
        match read(ctx, self.token(ctx), ask).await? {
            Some(Ok(busy)) => {
                if !busy.is_empty() {
                    let free = self.targets.iter().filter(|machine| !busy.contains_key(*machine)).cloned();
                    *self = self.part(free.collect());
                }
                Ok(busy)
            }
            Some(Err(fault)) if fault.kind == FaultKind::Denied => {
                self.not_sent(road, &fault);
                Ok(BTreeMap::new())
            }
            // Whether somebody is there cannot be seen: the machine itself says so then.
            Some(Err(fault)) => {
                tracing::warn!(%fault, "whether somebody else patches the machines cannot be seen");
                Ok(BTreeMap::new())
            }
            None => {
                self.over(
                    road,
                    not_begun(
                        ctx.stopping(),
                        "whether somebody else patches the machine was not seen in time",
                    ),
                );
                Ok(BTreeMap::new())
            }
        }
    }

    /// Takes all machines out where nobody may see what becomes of them.
    pub async fn leave_unseen_ones(&mut self, road: &Road) -> Result<(), Failure> {
        if !(self.changes && self.asks_first) {
            return Ok(());
        }
        if let Some(fault) = road.rights.missing(road, self).await? {
            self.not_sent(road, &fault);
        }
        Ok(())
    }

    fn not_sent(&mut self, road: &Road, fault: &Fault) {
        let cause = format!("not sent, because what becomes of it could not be seen: {fault}");
        self.over(road, Report::failed(Outcome::Failed, ErrorClass::Undeliverable, cause));
    }

    /// Waits until somebody else is done with some of these machines: those, ready to be sent, and the rest.
    pub async fn wait_for_others(
        mut self,
        road: &Road,
        mut busy: BTreeMap<TargetId, Other>,
    ) -> Result<Option<(Self, BTreeMap<TargetId, Other>)>, Failure> {
        let mut stopping = Stopping::default();
        loop {
            if stopping.pause(&road.ctx, EVERY).await? {
                for (machine, other) in busy {
                    let report = match stopping.0 {
                        reason @ StopReason::Cancelled => not_begun(reason, ""),
                        _ => other.in_the_way(),
                    };
                    road.tell(self.leg, machine, Ending::Known(report));
                }
                return Ok(None);
            }
            self.targets = busy.keys().cloned().collect();
            busy = self.leave_busy_ones(road).await?;
            if !self.targets.is_empty() {
                let targets = std::mem::take(&mut self.targets);
                return Ok(Some((self.part(targets), busy)));
            }
            if busy.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Reads the boots that a later reboot is proved by. They are durable before it is sent.
    pub async fn note_boots(&mut self, road: &Road) -> Result<(), Failure> {
        let asked: Vec<_> = self
            .targets
            .iter()
            .filter_map(|machine| Some((machine.clone(), *self.boots.get(machine)?)))
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let ssm = road.ssm(&self.home)?;
        let said =
            boots(&road.ctx, &ssm, &road.overviews.of(&self.home), &mut Stopping::default(), asked).await?;
        let said: BTreeMap<_, _> =
            said.into_iter().filter_map(|(machine, boot)| Some((machine, boot?))).collect();
        let note = to_value(&said).map_err(|error| Failure::failed(error.to_string()))?;
        self.note = Some((format!("{BOOTS}{}", self.key), note));
        // The relay outlives its errands.
        let _ = road.events.send(Event::Boots(said));
        Ok(())
    }

    /// Takes all machines out where the attempt was stopped meanwhile: a change is not begun any more.
    pub fn leave_all_where_stopped(&mut self, road: &Road) {
        let stopping = road.ctx.stopping();
        if self.changes && self.asks_first && matches!(stopping, StopReason::TimedOut | StopReason::Cancelled)
        {
            self.over(road, not_begun(stopping, "the time was over before the command was sent"));
        }
    }

    fn over(&mut self, road: &Road, report: Report) {
        road.tell_all(self.leg, std::mem::take(&mut self.targets), &report);
    }
}

fn since(heard: Option<Timestamp>) -> String {
    heard.map_or_else(String::new, |heard| format!(", last heard {}", clock(heard)))
}
