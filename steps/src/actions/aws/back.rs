//! Whether a machine is back after it went down: the one protocol of every action that makes machines do so.
//!
//! No single sign can be trusted (facts: Is it back). An agent is called online for minutes after it was
//! heard last, and so is a machine in the minute before it goes down; EC2's checks stay green over a quick
//! reboot; and a boot id can be read only from a machine that is up. So they are taken together, the cheap
//! ones first:
//!
//! 1. before: the boot id, by one Run Command for fifty machines ([`boots`](super::boot::boots));
//! 2. after: the agent is online and was heard later than the machine was asked to go down (50 a call);
//! 3. EC2's checks of the instance and of the host below it do not say that something is wrong (100 a call);
//! 4. the boot id, read again from those that 2 and 3 let through, is another one.
//!
//! What is not back after its time has a verdict that names the last thing seen of it.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Home,
};

use super::{
    boot::{Platform, boots},
    errand::{MOST, clock, later, since_then},
    overview::Overview,
    patience::Stopping,
};
use crate::{
    action::Failure,
    context::{Context, StopReason},
    ports::{
        ec2::{Ec2, InstanceStatus},
        ssm::{AgentInfo, Ssm},
    },
};

/// A machine that is not back after so long does not come back by itself.
pub(super) const SILENCE: Duration = Duration::from_secs(30 * 60);

/// How often is looked.
const EVERY: Duration = Duration::from_secs(15);

/// How long a machine waits for others to be asked for its boot together with: a command for each would be thousands.
const GATHERING: Duration = Duration::from_secs(30);

/// A machine whose boot was still the old one, or that did not answer, is asked again after this long.
const AGAIN: Duration = Duration::from_secs(30);

/// What is asked where machines live.
#[derive(Clone)]
pub(super) struct Signs {
    pub ssm: Arc<dyn Ssm>,
    pub ec2: Arc<dyn Ec2>,
    /// How the commands stand that machines are asked for their boots with.
    pub overview: Overview,
}

impl Signs {
    /// Where these machines live.
    pub fn of(ctx: &Context, home: &Home) -> Result<Self, Failure> {
        let aws = ctx.ports.aws.as_ref().ok_or_else(|| Failure::failed("this run has no access to AWS"))?;
        Ok(Self { ssm: aws.ssm(home), ec2: aws.ec2(home), overview: Overview::default() })
    }

    /// The last thing seen of machines, as far as anybody can say: one call for fifty, and one for a hundred.
    pub async fn last_seen(&self, machines: &[TargetId]) -> BTreeMap<TargetId, Seen> {
        let mut seen: BTreeMap<_, _> =
            machines.iter().map(|machine| (machine.clone(), Seen::default())).collect();
        self.hear(machines, &mut seen).await;
        self.check(machines, &mut seen).await;
        seen
    }

    async fn hear(&self, machines: &[TargetId], seen: &mut BTreeMap<TargetId, Seen>) {
        match self.ssm.agents(machines).await {
            Ok(agents) => {
                let mut agents: BTreeMap<_, _> =
                    agents.into_iter().map(|agent| (agent.instance.clone(), agent)).collect();
                for machine in machines {
                    if let Some(seen) = seen.get_mut(machine) {
                        seen.agent = Some(agents.remove(machine));
                    }
                }
            }
            // A look that was not answered says nothing.
            Err(fault) => tracing::warn!(%fault, "whether agents are heard could not be read"),
        }
    }

    async fn check(&self, machines: &[TargetId], seen: &mut BTreeMap<TargetId, Seen>) {
        if machines.is_empty() {
            return;
        }
        match self.ec2.statuses(machines).await {
            Ok(statuses) => {
                for machine in machines {
                    if let Some(seen) = seen.get_mut(machine) {
                        seen.is_gone = !statuses.iter().any(|status| status.instance == machine.as_str());
                    }
                }
                for status in statuses {
                    if let Some(seen) = seen.get_mut(&TargetId::from(status.instance.as_str())) {
                        seen.status = Some(status);
                    }
                }
            }
            Err(fault) => tracing::warn!(%fault, "EC2's checks could not be read"),
        }
    }
}

/// A machine that was asked to go down.
#[derive(Clone, Debug)]
pub(super) struct Down {
    pub platform: Platform,
    /// The boot before it; unknown where the machine could not say.
    pub before: Option<String>,
    /// When it was asked.
    pub since: Timestamp,
}

impl Down {
    /// Whether what it says of its boot now (it may be unable to say) tells that it was down and is up again. What could
    /// say before it went down, and cannot now, is still on its way.
    pub fn is_over(&self, boot: Option<&String>) -> bool {
        self.before.is_none() || boot.is_some() && boot != self.before.as_ref()
    }
}

/// A machine that is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Back {
    /// Its boot now; unknown where it cannot say.
    pub boot: Option<String>,
    /// When that was seen.
    pub at: Timestamp,
}

/// The last thing seen of a machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Its agent: `None` was not asked for, `Some(None)` is not known to Systems Manager.
    agent: Option<Option<AgentInfo>>,
    status: Option<InstanceStatus>,
    /// EC2 was asked, and does not show it.
    is_gone: bool,
    /// It was asked for its boot, and it was still the one before.
    same_boot: bool,
    /// It let the first signs through at this time.
    up_since: Option<Timestamp>,
    /// Not to be asked for its boot before then.
    asked_again: Option<Timestamp>,
}

impl Seen {
    /// The agent is online, and was heard after that time.
    fn is_heard_after(&self, since: Timestamp) -> bool {
        let agent = self.agent.as_ref().and_then(Option::as_ref);
        agent.is_some_and(|agent| agent.online && agent.last_ping.is_some_and(|ping| ping > since))
    }

    /// Its agent is known, and is not heard.
    pub fn is_silent(&self) -> bool {
        self.agent.as_ref().and_then(Option::as_ref).is_some_and(|agent| !agent.online)
    }

    /// EC2 sees nothing wrong with it; where EC2 said nothing, that is not known.
    fn is_sound(&self) -> bool {
        let sound = |word: &str| !matches!(word, "impaired" | "initializing");
        self.status.as_ref().is_none_or(|status| {
            matches!(status.state.as_str(), "" | "running")
                && sound(&status.system)
                && sound(&status.reachability)
        })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.agent {
            None => f.write_str("agent not asked for")?,
            Some(None) => f.write_str("agent unknown to Systems Manager")?,
            Some(Some(agent)) => match agent.last_ping {
                Some(ping) => write!(f, "agent last heard {}", clock(ping))?,
                None => f.write_str("agent never heard")?,
            },
        }
        if self.same_boot {
            f.write_str(", its boot id has not changed")?;
        }
        if self.is_gone {
            return f.write_str(", EC2 does not show the instance");
        }
        let Some(status) = &self.status else { return Ok(()) };
        match (status.state.as_str(), status.system.as_str(), status.reachability.as_str()) {
            ("" | "running", system, _) if !is_good(system) => write!(f, ", EC2 system check {system}"),
            ("" | "running", _, check) if !is_good(check) => write!(f, ", EC2 instance check {check}"),
            ("" | "running", ..) => f.write_str(", EC2 checks ok"),
            (state, ..) => write!(f, ", EC2 instance {state}"),
        }
    }
}

fn is_good(word: &str) -> bool {
    matches!(word, "" | "ok" | "not-applicable")
}

/// What is reported of a machine that is not back: what made it go down (`rebooted`), and the last thing seen of it.
pub(super) fn not_back(what: &str, since: Timestamp, seen: Option<&Seen>, now: Timestamp) -> Report {
    let mut cause = format!("{what} {}", clock(since));
    if let Some(seen) = seen {
        // Writing to a text does not fail.
        let _ = write!(cause, ", {seen}");
    }
    let _ = write!(cause, ", not back by {}", clock(now));
    Report::failed(Outcome::Unreachable, ErrorClass::Failed, cause)
}

/// What is reported of a machine that went silent while something ran on it.
pub(super) fn silent(seen: &Seen, now: Timestamp) -> Report {
    let cause = format!("the machine is silent, {seen}, not back by {}", clock(now));
    Report::failed(Outcome::Unreachable, ErrorClass::Failed, cause)
}

/// Waits until machines are back, and tells each as soon as it is, or is given up: `within` after it was asked to go
/// down, or when the time of the attempt is over. `what` made them go down: `rebooted`. A run that is cancelled waits,
/// because a machine that is going down cannot be held.
///
/// # Errors
/// [`Failure::Detached`].
pub(super) async fn wait(
    ctx: &Context,
    signs: &Signs,
    what: &str,
    mut down: BTreeMap<TargetId, Down>,
    within: Duration,
    mut tell: impl FnMut(TargetId, Result<Back, Report>) + Send,
) -> Result<(), Failure> {
    let mut seen: BTreeMap<_, _> = down.keys().map(|machine| (machine.clone(), Seen::default())).collect();
    let mut stopping = Stopping::default();
    while !down.is_empty() {
        stopping.pause(ctx, EVERY).await?;
        let all: Vec<_> = down.keys().cloned().collect();
        signs.hear(&all, &mut seen).await;
        let now = ctx.now();
        let heard: Vec<_> = all
            .iter()
            .filter(|machine| {
                let (down, seen) = (&down[*machine], &seen[*machine]);
                seen.asked_again.is_none_or(|at| now >= at) && seen.is_heard_after(down.since)
            })
            .cloned()
            .collect();
        signs.check(&heard, &mut seen).await;
        let asked: Vec<_> = ready(&heard, &mut seen, all.len(), now)
            .into_iter()
            .map(|machine| (machine.clone(), down[&machine].platform))
            .collect();
        let said = if asked.is_empty() {
            BTreeMap::new()
        } else {
            boots(ctx, &signs.ssm, &signs.overview, &mut stopping, asked.iter().cloned()).await?
        };
        let now = ctx.now();
        for (machine, _) in asked {
            let boot = said.get(&machine).cloned();
            match boot {
                Some(boot) if down[&machine].is_over(boot.as_ref()) => {
                    down.remove(&machine);
                    tell(machine, Ok(Back { boot, at: now }));
                }
                boot => {
                    let seen = seen.entry(machine).or_default();
                    seen.same_boot = boot.is_some();
                    (seen.up_since, seen.asked_again) = (None, Some(later(now, AGAIN)));
                }
            }
        }
        let over = |down: &Down| stopping.0 == StopReason::TimedOut || now >= later(down.since, within);
        let given_up: Vec<_> =
            down.iter().filter(|(_, down)| over(down)).map(|(machine, _)| machine.clone()).collect();
        signs.check(&given_up, &mut seen).await;
        for machine in given_up {
            if let Some(down) = down.remove(&machine) {
                let report = not_back(what, down.since, seen.get(&machine), now);
                tell(machine, Err(report));
            }
        }
    }
    Ok(())
}

/// Which of the machines that are heard are asked for their boot now: full commands at once, the rest when all are there
/// or have waited for others for a while.
fn ready(
    heard: &[TargetId],
    seen: &mut BTreeMap<TargetId, Seen>,
    all: usize,
    now: Timestamp,
) -> Vec<TargetId> {
    let mut sound = Vec::new();
    let mut longest = Duration::ZERO;
    for machine in heard {
        let Some(seen) = seen.get_mut(machine).filter(|seen| seen.is_sound()) else { continue };
        let since = *seen.up_since.get_or_insert(now);
        longest = longest.max(since_then(since, now));
        sound.push(machine.clone());
    }
    if sound.len() < all && longest < GATHERING {
        sound.truncate(sound.len() - sound.len() % MOST);
    }
    sound
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Down, Platform};

    #[test]
    fn a_machine_that_said_its_boot_before_has_to_say_another_one() {
        let down = |before: Option<&str>| Down {
            platform: Platform::Linux,
            before: before.map(str::to_owned),
            since: Timestamp::UNIX_EPOCH,
        };
        for (before, now, over) in [
            (Some("a"), Some("b"), true),
            (Some("a"), Some("a"), false),
            (Some("a"), None, false),
            (None, Some("a"), true),
            (None, None, true),
        ] {
            let said = now.map(str::to_owned);
            assert_eq!(down(before).is_over(said.as_ref()), over, "{before:?} and then {now:?}");
        }
    }
}
