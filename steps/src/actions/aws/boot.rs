//! The boots of machines: what tells one from the next, read by one Run Command for fifty machines.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use uuid::Uuid;

use super::{
    errand::{MOST, later, since_then},
    overview::{Overview, Stand, Watch},
    patience::{Backoff, Stopping, needs_person, passes},
};
use crate::{
    action::Failure,
    context::Context,
    ports::{
        fault::FaultKind,
        ssm::{InvocationStatus, SendCommand, Ssm},
    },
};

/// What a Linux machine is asked. The kernel makes it anew at each start.
const LINUX: &str = "cat /proc/sys/kernel/random/boot_id";

/// What a Windows machine is asked, in a form that does not depend on its language.
const WINDOWS: &str =
    "(Get-CimInstance Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().ToString('o')";

/// How long the agent may take to pick it up: the shortest that Run Command knows. The machines asked are heard.
const DELIVERY: Duration = Duration::from_secs(30);

/// How long it may run.
const LIMIT: Duration = Duration::from_secs(30);

/// When to look for the first time, and how often from then on (facts: How often to look).
const FIRST: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_secs(5);

/// After this long nobody is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// A machine that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Platform {
    Linux,
    Windows,
}

impl Platform {
    /// As the plan names it.
    pub fn of(platform: &str) -> Self {
        if platform.eq_ignore_ascii_case("windows") { Self::Windows } else { Self::Linux }
    }

    fn request(self, instances: &[TargetId], comment: String) -> SendCommand {
        let (document, script) = match self {
            Self::Linux => ("AWS-RunShellScript", LINUX),
            Self::Windows => ("AWS-RunPowerShellScript", WINDOWS),
        };
        SendCommand {
            document: document.to_owned(),
            instances: instances.to_vec(),
            parameters: BTreeMap::from([
                ("commands".to_owned(), vec![script.to_owned()]),
                ("executionTimeout".to_owned(), vec![LIMIT.as_secs().to_string()]),
            ]),
            comment,
            delivery_timeout: DELIVERY,
        }
    }
}

/// What the machines say of their boot; those that ran the command and said nothing of use have `None`, those that did
/// not run it are missing. It only reads and is not journaled: a later life asks anew. When the attempt must stop, what
/// was heard so far is the answer.
///
/// # Errors
/// [`Failure::Detached`].
pub(super) async fn boots(
    ctx: &Context,
    ssm: &Arc<dyn Ssm>,
    overview: &Overview,
    stopping: &mut Stopping,
    machines: impl IntoIterator<Item = (TargetId, Platform)>,
) -> Result<BTreeMap<TargetId, Option<String>>, Failure> {
    let mut platforms: BTreeMap<Platform, Vec<TargetId>> = BTreeMap::new();
    for (machine, platform) in machines {
        platforms.entry(platform).or_default().push(machine);
    }
    let mut asked = Vec::new();
    for (platform, machines) in platforms {
        for some in machines.chunks(MOST) {
            ask(ctx, ssm, overview, stopping, platform, some, &mut asked).await?;
        }
    }
    hear(ctx, ssm, stopping, asked).await
}

/// A command that was sent.
struct Asked {
    command: String,
    machines: BTreeSet<TargetId>,
    at: Timestamp,
    watch: Watch,
    /// Its machines were listed, and that was answered.
    listed: bool,
    /// The last listing was not.
    unanswered: bool,
}

impl Asked {
    /// Whether its machines are listed whatever is counted: what was said early is not lost for one that says nothing.
    fn is_listed_anyway(&self, now: Timestamp) -> bool {
        let passed = since_then(self.at, now);
        passed >= PATIENCE || !self.listed && passed >= LIMIT
    }

    /// Whether somebody is still waited for.
    fn is_open(&self, now: Timestamp) -> bool {
        let patience = if self.unanswered { PATIENCE * 2 } else { PATIENCE };
        !self.machines.is_empty() && since_then(self.at, now) < patience
    }
}

/// Sends it to some. One that the service cannot take fails the whole call: then each half is asked for itself.
async fn ask(
    ctx: &Context,
    ssm: &Arc<dyn Ssm>,
    overview: &Overview,
    stopping: &mut Stopping,
    platform: Platform,
    some: &[TargetId],
    asked: &mut Vec<Asked>,
) -> Result<(), Failure> {
    let until = later(ctx.now(), PATIENCE);
    let mut parts = vec![some.to_vec()];
    while let Some(some) = parts.pop() {
        let token = token(ctx, &some);
        let mut backoff = Backoff::new(token);
        loop {
            let at = ctx.now();
            let comment = format!("runbook:{}:boot:{token}", ctx.run);
            match ssm.send_command(platform.request(&some, comment)).await {
                Ok(command) => {
                    let machines = some.iter().cloned().collect();
                    let watch = overview.watch(ctx, &command, at);
                    asked.push(Asked { command, machines, at, watch, listed: false, unanswered: false });
                }
                Err(fault) if fault.kind == FaultKind::Target && some.len() > 1 => {
                    let (first, second) = some.split_at(some.len() / 2);
                    parts.extend([first.to_vec(), second.to_vec()]);
                }
                Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
                // It only reads: asking twice does no harm.
                Err(fault) if passes(fault.kind) && ctx.now() < until => {
                    if stopping.pause(ctx, backoff.after(fault.kind)).await? {
                        return Ok(());
                    }
                    continue;
                }
                Err(fault) => tracing::warn!(machines = some.len(), %fault, "boots could not be asked for"),
            }
            break;
        }
    }
    Ok(())
}

/// Each asking has a comment of its own.
fn token(ctx: &Context, some: &[TargetId]) -> Uuid {
    let first = some.first().map(TargetId::as_str).unwrap_or_default();
    Uuid::new_v5(&ctx.token(first, "boot"), ctx.now().to_string().as_bytes())
}

async fn hear(
    ctx: &Context,
    ssm: &Arc<dyn Ssm>,
    stopping: &mut Stopping,
    mut asked: Vec<Asked>,
) -> Result<BTreeMap<TargetId, Option<String>>, Failure> {
    let mut heard = BTreeMap::new();
    let mut first = true;
    while !asked.is_empty() {
        let now = ctx.now();
        let alone = if first { FIRST } else { EVERY };
        first = false;
        let waits = asked.iter_mut().map(|one| one.watch.pause(now, EVERY, alone));
        if stopping.pause(ctx, waits.max().unwrap_or(alone)).await? {
            return Ok(heard);
        }
        for one in &mut asked {
            if !one.is_listed_anyway(ctx.now()) {
                match one.watch.look(ssm).await {
                    Ok(Stand::Executing(counts)) if !counts.is_complete() => continue,
                    Ok(_) => {}
                    Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
                    Err(fault) => {
                        tracing::debug!(%fault, "how commands stand could not be read");
                        continue;
                    }
                }
            }
            let left: Vec<_> = one.machines.iter().cloned().collect();
            one.unanswered = true;
            let parts = match ssm.invocations(&one.command, &left).await {
                Ok(parts) => parts,
                Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
                Err(fault) => {
                    tracing::warn!(command = one.command, %fault, "boots could not be read");
                    continue;
                }
            };
            (one.listed, one.unanswered) = (true, false);
            for part in parts {
                match part.status {
                    InvocationStatus::Running => continue,
                    InvocationStatus::Succeeded => {
                        let said = part.stdout.as_deref().map(str::trim).filter(|said| !said.is_empty());
                        heard.insert(part.instance.clone(), said.map(str::to_owned));
                    }
                    InvocationStatus::Failed => _ = heard.insert(part.instance.clone(), None),
                    _ => {}
                }
                one.machines.remove(&part.instance);
            }
        }
        let now = ctx.now();
        asked.retain(|one| one.is_open(now));
    }
    Ok(heard)
}
