//! `aws/patch`: scans for missing patches, or installs them.
//!
//! An installation is one `AWS-RunPatchBaseline` with `Install`, its reboot included, and then a `Scan`: the report of
//! an installation describes the machine before its reboot (DOMAIN 2.3). Both name one patch snapshot for the whole
//! run, so that production gets the patches that staging got; Systems Manager keeps a snapshot for three days.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{Effect, ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    errand::{Ending, Errand, MOST, Road, key, later},
    patience::Stopping,
    relay::{self, Course, Event, Relay, cut, instances},
    script,
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::Context,
    fanout::Done,
    ports::ssm::{InvocationStatus, PatchState},
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::defaulting(
                "operation",
                InputKind::Enum(vec!["Scan", "Install"]),
                "Scan",
                "Whether to look for missing patches or to install them.",
            ),
            InputDoc::defaulting(
                "reboot",
                InputKind::Enum(vec!["RebootIfNeeded", "NoReboot"]),
                "RebootIfNeeded",
                "What to do when an installed patch needs a reboot.",
            ),
        ],
        effect: EffectDoc::ByInput {
            input: "operation",
            value: "Scan",
            then: Effect::Reads,
            otherwise: Effect::Changes,
        },
        repeatable: false,
        rights: vec![
            "ssm:SendCommand",
            "ssm:ListCommands",
            "ssm:ListCommandInvocations",
            "ssm:GetCommandInvocation",
            "ssm:CancelCommand",
            "ssm:DescribeInstanceInformation",
            "ssm:DescribeInstancePatchStates",
        ],
        outputs: vec![
            ("missing", "how many patches are still missing"),
            ("failed", "how many patches could not be installed"),
            ("pending_reboot", "how many patches wait for a reboot"),
        ],
        ..ActionDoc::new(
            "aws/patch",
            "Runs AWS-RunPatchBaseline on a machine.",
            TimeoutDoc::Fixed(Span::from_hours(3)),
        )
    }
}

const DOCUMENT: &str = "AWS-RunPatchBaseline";

/// The step limit that is written into the document (DOMAIN 2.2).
const LIMIT: Duration = Duration::from_secs(7200);

/// The installation.
const INSTALL: &str = "install";
/// The scan: all of it, or what closes an installation.
const SCAN: &str = "scan";

/// How long a machine waits for others to share its closing scan with: a command for each would be thousands.
const GATHERING: Duration = Duration::from_secs(30);

/// A report may reach the service this much after its command (DOMAIN 2.8).
const UPLOAD: Duration = Duration::from_secs(300);

/// How far a machine's clock and the service's may be apart.
const SKEW: Duration = Duration::from_secs(120);

/// The action.
#[derive(Clone, Debug)]
pub struct Patch {
    doc: ActionDoc,
}

impl Default for Patch {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Patch {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        let machines = instances(ctx, work).await?;
        let ids: Vec<_> = machines.keys().cloned().collect();
        let snapshot =
            Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("runbook patch snapshot\n{}", ctx.run).as_bytes());
        let mut course = Patching {
            machines,
            snapshot: snapshot.to_string(),
            installing: 0,
            gathered: Vec::new(),
            reminded: false,
        };
        // An earlier life may have begun closing scans.
        let scans = ctx.memory.intents.iter().filter(|(key, _)| key.starts_with(SCAN));
        let scanning: BTreeSet<_> = scans.flat_map(|(_, intent)| &intent.targets).collect();
        course.installing = ids.iter().filter(|id| course.installs(id) && !scanning.contains(id)).count();
        relay::run(ctx, &ids, course).await?;
        Ok(Value::Null)
    }
}

struct Patching {
    machines: BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>,
    /// The list of patches that this run installs.
    snapshot: String,
    /// How many machines still install.
    installing: usize,
    /// Machines that are through with it, and wait a little for others to share a scan with.
    gathered: Vec<TargetId>,
    reminded: bool,
}

impl Patching {
    fn home(&self, machine: &TargetId) -> Option<Home> {
        self.machines.get(machine).map(|(target, _)| target.home.clone())
    }

    fn text(&self, machine: &TargetId, input: &str) -> Option<String> {
        self.machines.get(machine).and_then(|(_, inputs)| inputs.text(input)).map(str::to_owned)
    }

    fn installs(&self, machine: &TargetId) -> bool {
        self.text(machine, "operation").as_deref() == Some("Install")
    }

    /// Sends the closing scans: full ones at once, the rest when nobody else is to come, or has come for a while.
    fn scan(&mut self, all: bool, relay: &mut Relay) {
        let now = match (all || self.installing == 0, self.gathered.len()) {
            (true, some) => some,
            (false, some) => some - some % MOST,
        };
        let machines = self.gathered.drain(..now).collect();
        for errand in self.cut(SCAN, machines) {
            relay.send(errand);
        }
        if !self.gathered.is_empty() && !self.reminded {
            self.reminded = true;
            relay.remind(GATHERING);
        }
    }

    fn reboots(&self, machine: &TargetId) -> bool {
        self.text(machine, "reboot").as_deref() != Some("NoReboot")
    }

    fn errand(&self, leg: &'static str, targets: Vec<TargetId>) -> Option<Errand> {
        let first = targets.first()?;
        let (installs, reboots) = (self.installs(first), self.reboots(first));
        let mut parameters = BTreeMap::from([
            ("Operation".to_owned(), vec![if leg == INSTALL { "Install" } else { "Scan" }.to_owned()]),
            ("SnapshotId".to_owned(), vec![self.snapshot.clone()]),
        ]);
        if leg == INSTALL {
            let option = if reboots { "RebootIfNeeded" } else { "NoReboot" };
            parameters.insert("RebootOption".to_owned(), vec![option.to_owned()]);
        }
        Some(Errand {
            key: key(leg, first),
            leg,
            home: self.home(first)?,
            targets,
            document: DOCUMENT.to_owned(),
            parameters,
            limit: LIMIT,
            // The second installation of one patch snapshot finds nothing to install.
            repeatable: true,
            changes: installs,
            reboots: installs && reboots,
            // A machine that was patched a moment ago may still be coming back: its command waits for it.
            asks_first: leg == INSTALL || !installs,
            prints: false,
        })
    }

    fn cut(&self, leg: &'static str, machines: Vec<TargetId>) -> Vec<Errand> {
        let alike =
            |machine: &TargetId| (self.home(machine), self.text(machine, "operation"), self.reboots(machine));
        cut(machines, alike, |some| self.errand(leg, some))
    }

    /// What is reported of a machine on which patches were installed, and whose closing scan went wrong.
    fn unverified(report: Report) -> Report {
        let cause = report.cause.unwrap_or_default();
        let class = match report.class {
            // The scan never ran; the installation did.
            Some(class) if !class.proves_nothing_applied() => class,
            _ => ErrorClass::Failed,
        };
        Report {
            class: Some(class),
            cause: Some(format!("the patches are installed, but the closing scan failed: {cause}")),
            ..report
        }
    }
}

impl Course for Patching {
    fn found(&self, key: &str, machines: Vec<TargetId>) -> Option<Errand> {
        let leg = if key.starts_with(SCAN) { SCAN } else { INSTALL };
        Some(Errand { key: key.to_owned(), ..self.errand(leg, machines)? })
    }

    fn fresh(&self, machines: Vec<TargetId>) -> Vec<Errand> {
        let (install, scan) = machines.into_iter().partition(|machine| self.installs(machine));
        [self.cut(INSTALL, install), self.cut(SCAN, scan)].concat()
    }

    fn ended(&mut self, leg: &'static str, machines: Vec<(TargetId, Ending)>, relay: &mut Relay) {
        let mut scanned = Vec::new();
        if leg == INSTALL {
            self.installing = self.installing.saturating_sub(machines.len());
        }
        for (machine, ending) in machines {
            let closing = leg == SCAN && self.installs(&machine);
            let report = match ending {
                Ending::Ran(part) if part.status == InvocationStatus::Succeeded => {
                    if leg == INSTALL {
                        self.gathered.push(machine)
                    } else {
                        scanned.push((machine, part.ended_at))
                    }
                    continue;
                }
                // Whatever became of the installation: a scan tells.
                Ending::Ran(part) => script::report(&part),
                Ending::Known(report) => report,
                Ending::Unclear(details) => {
                    let cause = format!("nobody can say whether it ran ({details})");
                    let outcome = if leg == INSTALL { Outcome::Unknown } else { Outcome::Failed };
                    Report::failed(outcome, ErrorClass::Failed, cause)
                }
            };
            relay.done(machine, Done::of(if closing { Self::unverified(report) } else { report }));
        }
        self.scan(false, relay);
        let mut homes: BTreeMap<Home, Vec<Scanned>> = BTreeMap::new();
        for (machine, ended_at) in scanned {
            let Some(home) = self.home(&machine) else { continue };
            let must_have_rebooted = self.installs(&machine) && self.reboots(&machine);
            homes.entry(home).or_default().push(Scanned { machine, ended_at, must_have_rebooted });
        }
        for (home, machines) in homes {
            relay.spawn(read_states(relay.road.clone(), home, self.snapshot.clone(), machines));
        }
    }

    fn due(&mut self, relay: &mut Relay) {
        self.reminded = false;
        self.scan(true, relay);
    }
}

/// A machine whose scan ended, and whose state is awaited.
struct Scanned {
    machine: TargetId,
    ended_at: Option<Timestamp>,
    must_have_rebooted: bool,
}

impl Scanned {
    /// Whether a state is the one of this scan, not of an earlier one or of somebody else's.
    fn is_told_by(&self, state: &PatchState, snapshot: &str) -> bool {
        let earliest = self.ended_at.and_then(|at| at.checked_sub(SKEW).ok());
        state.operation == "Scan"
            && state.snapshot_id.as_deref() == Some(snapshot)
            && earliest.is_none_or(|earliest| state.ended_at.is_none_or(|at| at >= earliest))
    }

    fn done(&self, state: &PatchState) -> Done {
        let outputs = json!({
            "missing": state.missing, "failed": state.failed, "pending_reboot": state.pending_reboot,
        });
        let report = if self.must_have_rebooted && state.pending_reboot > 0 {
            let cause = format!("{} patches still wait for a reboot", state.pending_reboot);
            Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
        } else {
            Report::succeeded()
        };
        let report = match self.ended_at {
            Some(at) => report.at(at),
            None => report,
        };
        Done { report, outputs: Some(outputs) }
    }
}

/// Waits until the states of these machines are those of their scans. The upload is not part of the command.
async fn read_states(
    road: Road,
    home: Home,
    snapshot: String,
    mut machines: Vec<Scanned>,
) -> Result<(), Failure> {
    let ssm = road.ssm(&home)?;
    let until = later(road.ctx.now(), UPLOAD);
    let mut stopping = Stopping::default();
    let mut pause = Duration::from_secs(5);
    loop {
        stopping.pause(&road.ctx, pause).await?;
        pause = Duration::from_secs(15);
        let ids: Vec<_> = machines.iter().map(|scanned| scanned.machine.clone()).collect();
        let mut states = BTreeMap::new();
        for some in ids.chunks(MOST) {
            let _permit = road.calls.acquire().await;
            match ssm.patch_states(some).await {
                Ok(read) => states.extend(read.into_iter().map(|state| (state.instance.clone(), state))),
                Err(fault) => tracing::warn!(%fault, "patch states could not be read"),
            }
        }
        machines.retain(|scanned| {
            let state = states.get(&scanned.machine).filter(|state| scanned.is_told_by(state, &snapshot));
            if let Some(state) = state {
                tell(&road, &scanned.machine, scanned.done(state));
            }
            state.is_none()
        });
        if machines.is_empty() {
            return Ok(());
        }
        if road.ctx.now() >= until {
            let cause = format!(
                "the patch state did not arrive within {} of its scan",
                Span::from_secs(UPLOAD.as_secs())
            );
            let report = Report::failed(Outcome::Failed, ErrorClass::Failed, cause);
            for scanned in machines {
                tell(&road, &scanned.machine, Done::of(report.clone()));
            }
            return Ok(());
        }
    }
}

fn tell(road: &Road, machine: &TargetId, done: Done) {
    // The relay outlives what it spawned.
    let _ = road.events.send(Event::Done { machine: machine.clone(), done });
}
