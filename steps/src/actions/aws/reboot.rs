//! `aws/reboot`: reboots a machine and waits until it is back.
//!
//! `RebootInstances` has no client token and is asked for fifty machines at once. What proves that it took place is the
//! boot id: it is read before and journaled, so that a later life can tell a machine that was rebooted from one that was
//! not, and is read again afterwards (`back`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{Effect, ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, to_value};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::yield_now,
};

use super::{
    back::{self, Back, Down, SILENCE, Signs},
    boot::{Platform, boots},
    errand::{MOST, key},
    patience::{Said, Stopping, not_applied, not_begun, put_off, read, refusal, write},
    relay::{instances, together},
};
use crate::{
    action::{Action, Failure, Work},
    context::{Context, Intent, StopReason},
    fanout::{Done, journal},
    ports::{ec2::Ec2, fault::FaultKind},
};

/// Why a machine was not rebooted whose turn came too late.
const LATE: &str = "its turn did not come in time";

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        effect: EffectDoc::Always(Effect::Changes),
        rights: vec![
            "ec2:DescribeInstanceStatus",
            "ec2:RebootInstances",
            "ssm:DescribeInstanceInformation",
            "ssm:ListCommandInvocations",
            "ssm:ListCommands",
            "ssm:SendCommand",
        ],
        outputs: vec![("boot_id", "the boot id after the reboot")],
        ..ActionDoc::new(
            "aws/reboot",
            "Reboots a machine, once, and waits until its boot id has changed and its agent is heard.",
            TimeoutDoc::Fixed(Span::from_mins(45)),
        )
    }
}

const CALL: &str = "ec2:RebootInstances";

/// What the keys of the journal begin with.
const REBOOT: &str = "reboot";

/// The action.
#[derive(Clone, Debug)]
pub struct Reboot {
    doc: ActionDoc,
}

impl Default for Reboot {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Reboot {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        let mut homes: BTreeMap<Home, BTreeMap<TargetId, Arc<Target>>> = BTreeMap::new();
        for (id, (target, _)) in instances(ctx, work).await? {
            homes.entry(target.home.clone()).or_default().insert(id, target);
        }
        let mut rebooting = Vec::new();
        for (home, machines) in homes {
            rebooting.push(Rebooting::new(ctx, &home, machines)?);
        }
        let mut fresh = Vec::new();
        for place in &mut rebooting {
            fresh.push(place.take_up().await?);
        }
        if ctx.resumed {
            ctx.ledger.looked_up().await?;
        }
        for (place, machines) in rebooting.iter_mut().zip(fresh) {
            place.begin(machines).await?;
        }
        let places = rebooting.into_iter().map(Rebooting::wait);
        // Each place is waited for beside the others.
        let mut waiting = tokio::task::JoinSet::new();
        for place in places {
            waiting.spawn(place);
        }
        let mut end = Ok(());
        while let Some(joined) = waiting.join_next().await {
            let result = match joined {
                Ok(result) => result,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Err(Failure::Detached),
                },
            };
            end = match (end, result) {
                (Err(first), Err(second)) => Err(Failure::or(first, second)),
                (end, result) => end.and(result),
            };
        }
        end.map(|()| Value::Null)
    }
}

/// A reboot of up to fifty machines, as the journal keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Asked {
    /// The boots before it, which prove that it took place.
    before: BTreeMap<TargetId, String>,
    /// When it was answered; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

/// The machines that live in one place.
struct Rebooting {
    ctx: Context,
    signs: Signs,
    ec2: Arc<dyn Ec2>,
    machines: BTreeMap<TargetId, Arc<Target>>,
    down: BTreeMap<TargetId, Down>,
    stopping: Stopping,
}

impl Rebooting {
    fn new(ctx: &Context, home: &Home, machines: BTreeMap<TargetId, Arc<Target>>) -> Result<Self, Failure> {
        let signs = Signs::of(ctx, home)?;
        let ec2 = Arc::clone(&signs.ec2);
        let down = BTreeMap::new();
        Ok(Self { ctx: ctx.clone(), signs, ec2, machines, down, stopping: Stopping::default() })
    }

    /// Takes up what earlier lives asked for; gives the machines of which nothing was asked, or of which two looks, a
    /// settle time apart, say that it was never carried out.
    async fn take_up(&mut self) -> Result<Vec<TargetId>, Failure> {
        let mut latest: BTreeMap<TargetId, (Timestamp, String)> = BTreeMap::new();
        for (key, intent) in &self.ctx.memory.intents {
            for machine in intent.targets.iter().filter(|machine| self.machines.contains_key(*machine)) {
                let known = latest.entry(machine.clone()).or_insert_with(|| (intent.at, key.clone()));
                if intent.at > known.0 {
                    *known = (intent.at, key.clone());
                }
            }
        }
        let mut fresh: Vec<_> =
            self.machines.keys().filter(|machine| !latest.contains_key(*machine)).cloned().collect();
        let mut doubtful: BTreeMap<String, (Timestamp, BTreeMap<TargetId, String>)> = BTreeMap::new();
        for (machine, (at, key)) in latest {
            let kept =
                self.ctx.recall(&key).and_then(|kept| serde_json::from_value::<Asked>(kept.clone()).ok());
            let Some(before) = kept.as_ref().and_then(|asked| asked.before.get(&machine)).cloned() else {
                // Without its boot nothing was asked.
                fresh.push(machine);
                continue;
            };
            match kept.and_then(|asked| asked.at) {
                Some(asked) => self.goes_down(machine, before, asked),
                None => _ = doubtful.entry(key).or_insert((at, BTreeMap::new())).1.insert(machine, before),
            }
        }
        for (at, before) in doubtful.into_values() {
            if self.took_place(&before).await? {
                for (machine, before) in before {
                    self.goes_down(machine, before, at);
                }
            } else {
                fresh.extend(before.into_keys());
            }
        }
        Ok(fresh)
    }

    fn goes_down(&mut self, machine: TargetId, before: String, since: Timestamp) {
        if let Some(platform) = self.platform(&machine) {
            self.down.insert(machine, Down { platform, before: Some(before), since });
        }
    }

    fn platform(&self, machine: &TargetId) -> Option<Platform> {
        self.machines.get(machine).map(|target| Platform::of(&target.platform))
    }

    /// Whether a reboot whose answer is not known takes place: machines that are down, or were, say so. That none is
    /// must be seen twice, a settle time apart.
    async fn took_place(&mut self, before: &BTreeMap<TargetId, String>) -> Result<bool, Failure> {
        for last in [false, true] {
            let now = self.boots(before.keys()).await?;
            let same = |(machine, before): (&TargetId, &String)| now.get(machine) == Some(before);
            if !before.iter().all(same) {
                return Ok(true);
            }
            if !last && !self.ctx.sleep(self.ctx.settings.settle).await {
                return match self.ctx.stopping() {
                    StopReason::Detach | StopReason::None => Err(Failure::Detached),
                    // It is waited for, and the verdict says what was seen.
                    _ => Ok(true),
                };
            }
        }
        Ok(false)
    }

    async fn boots<'a>(
        &mut self,
        machines: impl Iterator<Item = &'a TargetId>,
    ) -> Result<BTreeMap<TargetId, String>, Failure> {
        let asked: Vec<_> =
            machines.filter_map(|machine| Some((machine.clone(), self.platform(machine)?))).collect();
        let said = boots(&self.ctx, &self.signs.ssm, &self.signs.overview, &mut self.stopping, asked).await?;
        Ok(said.into_iter().filter_map(|(machine, boot)| Some((machine, boot?))).collect())
    }

    /// Reads the boots of machines and reboots them, fifty at a time.
    async fn begin(&mut self, machines: Vec<TargetId>) -> Result<(), Failure> {
        let heard = self.heard(machines).await?;
        let mut before = self.boots(heard.iter()).await?;
        let mute: Vec<_> = heard.iter().filter(|machine| !before.contains_key(*machine)).cloned().collect();
        if !mute.is_empty() {
            let cause = "it does not say which boot this is, so that nobody could tell whether it rebooted";
            self.over(mute, undeliverable(cause)).await?;
        }
        let ready: Vec<_> = heard.into_iter().filter(|machine| before.contains_key(machine)).collect();
        for some in ready.chunks(MOST) {
            let mut parts = vec![some.to_vec()];
            while let Some(some) = parts.pop() {
                let of = some.iter().filter_map(|machine| before.remove_entry(machine)).collect();
                if let Some((first, second, of)) = self.reboot(some, of).await? {
                    before.extend(of);
                    parts.extend([first, second]);
                }
            }
        }
        Ok(())
    }

    /// Those whose agents are heard; the others are reported.
    async fn heard(&mut self, machines: Vec<TargetId>) -> Result<Vec<TargetId>, Failure> {
        let Some(first) = machines.first() else { return Ok(machines) };
        let token = self.ctx.token(first.as_str(), "agents");
        let agents = match read(&self.ctx, token, || self.signs.ssm.agents(&machines)).await? {
            Some(Ok(agents)) => agents,
            Some(Err(fault)) => {
                self.over(machines, not_applied(refusal(&fault))).await?;
                return Ok(Vec::new());
            }
            None => {
                let report = not_begun(self.ctx.stopping(), LATE);
                self.over(machines, report).await?;
                return Ok(Vec::new());
            }
        };
        let online: BTreeSet<_> =
            agents.into_iter().filter(|agent| agent.online).map(|agent| agent.instance).collect();
        let (heard, silent): (Vec<_>, Vec<_>) =
            machines.into_iter().partition(|machine| online.contains(machine));
        if !silent.is_empty() {
            let cause = "the machine is not heard, so that nobody could tell whether it rebooted";
            self.over(silent, undeliverable(cause)).await?;
        }
        Ok(heard)
    }

    /// Reboots some. Two halves: one machine that EC2 cannot take failed the call for all of them.
    async fn reboot(
        &mut self,
        some: Vec<TargetId>,
        before: BTreeMap<TargetId, String>,
    ) -> Result<Option<(Vec<TargetId>, Vec<TargetId>, BTreeMap<TargetId, String>)>, Failure> {
        let ctx = self.ctx.clone();
        if let reason @ (StopReason::TimedOut | StopReason::Cancelled) = ctx.stopping() {
            self.over(some, not_begun(reason, LATE)).await?;
            return Ok(None);
        }
        let Some(first) = some.first() else { return Ok(None) };
        let key = key(REBOOT, first);
        let token = ctx.token(&key, CALL);
        let mut asked = Asked { before, at: None };
        let intent = Intent {
            key: key.clone(),
            call: CALL,
            token: token.to_string(),
            targets: some.clone(),
            makes: None,
        };
        // The boots first: an intent without them could not be looked for.
        let kept = kept(&asked)?;
        let (noted, meant) = tokio::join!(ctx.ledger.checkpoint(&key, kept), ctx.ledger.intent(intent));
        noted.and(meant)?;
        loop {
            let since = ctx.now();
            match write(&ctx, token, || self.ec2.reboot_instances(&some)).await? {
                Said::Done(()) => asked.at = Some(ctx.now()),
                Said::Unclear(fault) => {
                    tracing::warn!(%fault, "nobody knows whether machines reboot: looking at them");
                    if self.took_place(&asked.before).await? {
                        asked.at = Some(since);
                    } else {
                        match ctx.stopping() {
                            StopReason::None => continue,
                            StopReason::Detach => return Err(Failure::Detached),
                            reason => {
                                self.over(some, put_off(reason, &fault)).await?;
                                return Ok(None);
                            }
                        }
                    }
                }
                Said::Refused(fault)
                    if matches!(fault.kind, FaultKind::Target | FaultKind::NotFound) && some.len() > 1 =>
                {
                    let (first, second) = some.split_at(some.len() / 2);
                    return Ok(Some((first.to_vec(), second.to_vec(), asked.before)));
                }
                Said::Refused(fault) => {
                    self.over(some, not_applied(refusal(&fault))).await?;
                    return Ok(None);
                }
                Said::Stopped(reason, fault) => {
                    self.over(some, put_off(reason, &fault)).await?;
                    return Ok(None);
                }
            }
            let kept = self::kept(&asked)?;
            ctx.ledger.checkpoint(&key, kept).await?;
            let at = asked.at.unwrap_or(since);
            for (machine, before) in asked.before {
                self.goes_down(machine, before, at);
            }
            return Ok(None);
        }
    }

    /// Waits until they are back.
    async fn wait(self) -> Result<(), Failure> {
        if self.down.is_empty() {
            return Ok(());
        }
        let (tell, mut told) = unbounded_channel();
        let ctx = self.ctx.clone();
        let waiting = async move {
            let told = |machine, back| tell_done(&tell, machine, back);
            back::wait(&self.ctx, &self.signs, "rebooted", self.down, SILENCE, told).await
        };
        let journaling = async {
            while let Some(first) = told.recv().await {
                // What comes out in the same instant is there after one more round of the scheduler.
                yield_now().await;
                let mut over = vec![first];
                while let Ok(more) = told.try_recv() {
                    over.push(more);
                }
                journal(&ctx, together(over)).await?;
            }
            Ok(())
        };
        let (waited, journaled) = tokio::join!(waiting, journaling);
        waited.and(journaled)
    }

    async fn over(&self, machines: Vec<TargetId>, report: Report) -> Result<(), Failure> {
        self.ctx.ledger.report(machines, report).await
    }
}

fn tell_done(tell: &UnboundedSender<(TargetId, Done)>, machine: TargetId, back: Result<Back, Report>) {
    let done = match back {
        Ok(back) => Done { report: Report::succeeded(), outputs: Some(json!({ "boot_id": back.boot })) },
        Err(report) => Done::of(report),
    };
    // The receiver lives as long as the sender.
    let _ = tell.send((machine, done));
}

fn kept(asked: &Asked) -> Result<Value, Failure> {
    to_value(asked).map_err(|error| Failure::failed(error.to_string()))
}

fn undeliverable(cause: &str) -> Report {
    Report::failed(Outcome::Unreachable, ErrorClass::Undeliverable, cause)
}
