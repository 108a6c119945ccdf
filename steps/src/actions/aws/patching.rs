//! The course of a patch operation: what is sent to which machines, and what its ends lead to.
//!
//! An installation is read the boot of, then installed on, its reboot included, then asked for its boot again, then
//! scanned; machines that have come equally far share a command. A scan is only that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use serde_json::{Map, Value, json};

use super::{
    back::{self, Down, SILENCE, Signs},
    boot::{Platform, boots},
    compliance,
    errand::{Ending, Errand, Road, key},
    gathering::Gathering,
    outset::BOOTS,
    patch_list::PatchList,
    patch_state::{self, Awaited},
    patience::Stopping,
    relay::{Course, Event, Relay, cut},
    script,
};
use crate::{
    action::{Failure, Inputs},
    context::{Context, StopReason},
    fanout::Done,
    ports::ssm::{InvocationStatus, PatchState},
};

const DOCUMENT: &str = "AWS-RunPatchBaseline";

/// The step limit that is written into the document (facts: AWS-RunPatchBaseline).
const LIMIT: Duration = Duration::from_secs(7200);

/// The installation.
const INSTALL: &str = "install";
/// The scan: all of it, or what closes an installation.
const SCAN: &str = "scan";
/// The scan once more, where nobody can say what became of the first, or somebody else's report lies over its own.
const RESCAN: &str = "rescan";
/// An installation of which nobody can say how it ended: its patch state.
const PROBE: &str = "probe";
/// A machine that was to come back from the reboot of its installation.
const RETURN: &str = "return";
/// A scan whose report did not arrive.
const UNREPORTED: &str = "unreported";

/// How long a machine that has installed waits for the others of its wave, to go on in full commands: the wave is over
/// when its last machine is, so that nothing is lost by it.
const INSTALLING: Duration = Duration::from_secs(600);

/// How long a machine waits for others later on: they are as far as it is.
const GATHERING: Duration = Duration::from_secs(45);

/// What the patch states are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To install, or to see what is missing.
    Patch,
    /// To be judged.
    Judge,
}

/// A patch operation on many machines.
pub(super) struct Patching {
    machines: BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>,
    list: PatchList,
    purpose: Purpose,
    /// When the attempt began, or a little before.
    began: Timestamp,
    /// The boots before the installation.
    before: BTreeMap<TargetId, String>,
    /// The boots after it.
    after: BTreeMap<TargetId, Option<String>>,
    /// How many machines still install, or come back from it.
    underway: usize,
    /// Machines that are through with it, and wait for others to be asked for their boots together with.
    installed: Gathering<(TargetId, Option<Timestamp>)>,
    /// Machines that are back, and wait a little for others to share a scan with.
    returned: Gathering<TargetId>,
    /// How many machines are being scanned.
    scanning: usize,
    /// Machines that are scanned, and wait a little for others to share the reading of their states with.
    scanned: Gathering<(TargetId, Option<Timestamp>)>,
    /// Machines that are scanned for the second time.
    rescanned: BTreeSet<TargetId>,
}

impl Patching {
    /// The operation on these machines, or what an earlier life left of it.
    pub fn new(
        ctx: &Context,
        machines: BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>,
        list: PatchList,
        purpose: Purpose,
    ) -> Self {
        let intents = &ctx.memory.intents;
        let began = intents.values().map(|intent| intent.at).min().unwrap_or(ctx.now());
        let scans = intents.iter().filter(|(key, _)| leg(key) != INSTALL);
        let scanning: BTreeSet<_> = scans.flat_map(|(_, intent)| &intent.targets).collect();
        let second = intents.iter().filter(|(key, _)| leg(key) == RESCAN);
        let rescanned = second.flat_map(|(_, intent)| intent.targets.clone()).collect();
        let noted = ctx.memory.checkpoints.iter().filter(|(key, _)| key.starts_with(BOOTS));
        let before = noted
            .filter_map(|(_, note)| serde_json::from_value::<BTreeMap<TargetId, String>>(note.clone()).ok())
            .flatten()
            .collect();
        let mut patching = Self {
            machines,
            list,
            purpose,
            began,
            before,
            after: BTreeMap::new(),
            underway: 0,
            installed: Gathering::new(INSTALLING),
            returned: Gathering::new(GATHERING),
            scanning: 0,
            scanned: Gathering::new(GATHERING),
            rescanned,
        };
        let installing =
            patching.machines.keys().filter(|id| patching.installs(id) && !scanning.contains(id));
        patching.underway = installing.count();
        patching.scanning = patching.machines.len() - patching.underway;
        patching
    }

    fn home(&self, machine: &TargetId) -> Option<Home> {
        self.machines.get(machine).map(|(target, _)| target.home.clone())
    }

    fn platform(&self, machine: &TargetId) -> Platform {
        let platform = self.machines.get(machine).map(|(target, _)| target.platform.as_str());
        Platform::of(platform.unwrap_or_default())
    }

    fn text(&self, machine: &TargetId, input: &str) -> Option<&str> {
        self.machines.get(machine).and_then(|(_, inputs)| inputs.text(input))
    }

    fn installs(&self, machine: &TargetId) -> bool {
        self.purpose == Purpose::Patch && self.text(machine, "operation") == Some("Install")
    }

    fn reboots(&self, machine: &TargetId) -> bool {
        self.text(machine, "reboot") != Some("NoReboot")
    }

    fn errand(&self, leg: &'static str, targets: Vec<TargetId>) -> Option<Errand> {
        let first = targets.first()?;
        let (installs, reboots) = (self.installs(first), self.reboots(first));
        let mut parameters = BTreeMap::from([
            ("Operation".to_owned(), vec![if leg == INSTALL { "Install" } else { "Scan" }.to_owned()]),
            ("SnapshotId".to_owned(), vec![self.list.id.clone()]),
        ]);
        if leg == INSTALL {
            let option = if reboots { "RebootIfNeeded" } else { "NoReboot" };
            parameters.insert("RebootOption".to_owned(), vec![option.to_owned()]);
        }
        let reboots = installs && reboots;
        let boots = match leg == INSTALL && reboots {
            true => targets.iter().map(|machine| (machine.clone(), self.platform(machine))).collect(),
            false => BTreeMap::new(),
        };
        Some(Errand {
            key: key(leg, first),
            leg,
            home: self.home(first)?,
            targets,
            document: DOCUMENT.to_owned(),
            parameters,
            limit: LIMIT,
            // The second installation of one list finds nothing to install.
            repeatable: true,
            changes: installs,
            reboots,
            // A machine that was patched a moment ago may still be coming back: its command waits for it.
            asks_first: leg == INSTALL || !installs,
            prints: false,
            alone: leg == INSTALL || !installs,
            boots,
            note: None,
        })
    }

    fn cut(&self, leg: &'static str, machines: Vec<TargetId>) -> Vec<Errand> {
        let alike = |machine: &TargetId| {
            (self.home(machine), self.text(machine, "operation").map(str::to_owned), self.reboots(machine))
        };
        cut(machines, alike, |some| self.errand(leg, some))
    }

    /// Sends those on their way that have waited for others: full commands at once, the rest when nobody else is to
    /// come, or they have waited long enough.
    fn forward(&mut self, relay: &mut Relay) {
        let now = relay.road.ctx.now();
        // Nobody is waited for when the attempt is over.
        let over = relay.road.ctx.stopping() != StopReason::None;
        let last = over || self.underway == self.installed.len();
        let mut homes: BTreeMap<Home, Vec<(TargetId, Option<Timestamp>)>> = BTreeMap::new();
        for (machine, ended_at) in self.installed.take(last, now) {
            if let Some(home) = self.home(&machine) {
                homes.entry(home).or_default().push((machine, ended_at));
            }
        }
        for (home, machines) in homes {
            let down = machines.into_iter().map(|(machine, ended_at)| {
                let platform = self.platform(&machine);
                let since = ended_at.unwrap_or(self.began);
                (machine, Down { platform, before: None, since })
            });
            relay.spawn(see_back(relay.road.clone(), home, down.collect()));
        }
        let ready = self.returned.take(over || self.underway == 0, now);
        self.scanning += ready.len();
        for errand in self.cut(SCAN, ready) {
            relay.send(errand);
        }
        let nobody_else = self.underway == 0 && self.scanning == 0 && self.returned.is_empty();
        let scanned = self.scanned.take(over || nobody_else, now);
        self.await_states(scanned, relay);
        let end = relay.road.ctx.deadline;
        let times =
            [self.installed.remind(now, end), self.returned.remind(now, end), self.scanned.remind(now, end)];
        for time in times.into_iter().flatten() {
            relay.remind(time);
        }
    }

    /// An installation ended well.
    fn install_ended(&mut self, machine: TargetId, ended_at: Option<Timestamp>) {
        if self.reboots(&machine) {
            self.installed.push((machine, ended_at));
        } else {
            self.underway = self.underway.saturating_sub(1);
            self.returned.push(machine);
        }
    }

    /// A machine is out.
    fn over(&mut self, leg: &str, machine: TargetId, report: Report, relay: &Relay) {
        let closing = !matches!(leg, INSTALL | PROBE | RETURN) && self.installs(&machine);
        if matches!(leg, INSTALL | PROBE | RETURN) {
            self.underway = self.underway.saturating_sub(1);
        }
        relay.done(machine, Done::of(if closing { unverified(report) } else { report }));
    }

    /// Scans once more, unless that was done.
    fn scan_again(
        &mut self,
        leg: &'static str,
        machine: TargetId,
        cause: String,
        again: &mut Vec<TargetId>,
        relay: &Relay,
    ) {
        if self.rescanned.insert(machine.clone()) {
            again.push(machine);
        } else {
            self.over(leg, machine, Report::failed(Outcome::Failed, ErrorClass::Failed, cause), relay);
        }
    }

    /// Awaits the reports of scans that ended.
    fn await_states(&self, scanned: Vec<(TargetId, Option<Timestamp>)>, relay: &mut Relay) {
        let lists: Arc<[String]> = Arc::new([self.list.id.clone()]);
        let mut homes: BTreeMap<Home, BTreeMap<TargetId, (Awaited, Scanned)>> = BTreeMap::new();
        for (machine, ended_at) in scanned {
            let Some((target, inputs)) = self.machines.get(&machine) else { continue };
            let awaited = Awaited { operation: "Scan", lists: Arc::clone(&lists), ended_at };
            let scanned = Scanned {
                inputs: Arc::clone(inputs),
                purpose: self.purpose,
                ended_at,
                list: self.list.clone(),
                must_have_rebooted: self.installs(&machine) && self.reboots(&machine),
                before: self.before.get(&machine).cloned(),
                after: self.after.get(&machine).cloned().flatten(),
            };
            homes.entry(target.home.clone()).or_default().insert(machine, (awaited, scanned));
        }
        for (home, machines) in homes {
            let road = relay.road.clone();
            relay.spawn(async move {
                let (awaited, mut scanned): (BTreeMap<_, _>, BTreeMap<_, _>) = machines
                    .into_iter()
                    .map(|(machine, (awaited, scanned))| ((machine.clone(), awaited), (machine, scanned)))
                    .unzip();
                let tell = |machine: TargetId, state: Result<PatchState, String>| match state {
                    Ok(state) => {
                        if let Some(scanned) = scanned.remove(&machine) {
                            let done = scanned.done(&state);
                            // The relay outlives what it spawned.
                            let _ = road.events.send(Event::Done { machine, done });
                        }
                    }
                    Err(cause) => road.tell(UNREPORTED, machine, Ending::Unclear(cause)),
                };
                patch_state::wait(&road, &home, awaited, tell).await
            });
        }
    }

    /// Looks at the patch states of machines on which nobody can say how the installation ended.
    fn probe(&self, unclear: Vec<(TargetId, String)>, relay: &mut Relay) {
        let lists: Arc<[String]> = Arc::new([self.list.id.clone()]);
        let mut homes: BTreeMap<Home, BTreeMap<TargetId, String>> = BTreeMap::new();
        for (machine, details) in unclear {
            if let Some(home) = self.home(&machine) {
                homes.entry(home).or_default().insert(machine, details);
            }
        }
        for (home, mut machines) in homes {
            let awaited =
                Awaited { operation: "Install", lists: Arc::clone(&lists), ended_at: Some(self.began) };
            let awaited = machines.keys().map(|machine| (machine.clone(), awaited.clone())).collect();
            let road = relay.road.clone();
            relay.spawn(async move {
                let tell = |machine: TargetId, state: Result<PatchState, String>| {
                    let details = machines.remove(&machine).unwrap_or_default();
                    let ending = match state {
                        Ok(state) => {
                            let report = Report::succeeded();
                            Ending::Known(state.ended_at.map_or(report.clone(), |at| report.at(at)))
                        }
                        Err(cause) => Ending::Unclear(format!("{details}; the agent is heard, but {cause}")),
                    };
                    road.tell(PROBE, machine, ending);
                };
                patch_state::wait(&road, &home, awaited, tell).await
            });
        }
    }
}

impl Course for Patching {
    fn found(&self, key: &str, machines: Vec<TargetId>) -> Option<Errand> {
        Some(Errand { key: key.to_owned(), ..self.errand(leg(key), machines)? })
    }

    fn fresh(&self, machines: Vec<TargetId>) -> Vec<Errand> {
        let (install, scan) = machines.into_iter().partition(|machine| self.installs(machine));
        [self.cut(INSTALL, install), self.cut(SCAN, scan)].concat()
    }

    fn ended(&mut self, leg: &'static str, machines: Vec<(TargetId, Ending)>, relay: &mut Relay) {
        let (mut unclear, mut again) = (Vec::new(), Vec::new());
        if matches!(leg, SCAN | RESCAN) {
            self.scanning = self.scanning.saturating_sub(machines.len());
        }
        for (machine, ending) in machines {
            match (leg, ending) {
                (INSTALL, Ending::Ran(part)) if part.status == InvocationStatus::Succeeded => {
                    self.install_ended(machine, part.ended_at);
                }
                (PROBE, Ending::Known(report)) if report.outcome == Outcome::Succeeded => {
                    self.install_ended(machine, report.finished_at);
                }
                (_, Ending::Ran(part)) if part.status == InvocationStatus::Succeeded => {
                    self.scanned.push((machine, part.ended_at));
                }
                (_, Ending::Ran(part)) => {
                    let report = script::report(&part);
                    self.over(leg, machine, explained(report, part.exit_code), relay);
                }
                (_, Ending::Known(report)) => self.over(leg, machine, report, relay),
                (INSTALL, Ending::Unclear(details)) => unclear.push((machine, details)),
                (PROBE, Ending::Unclear(details)) => {
                    let cause = format!("nobody can say whether it was installed ({details})");
                    let report = Report::failed(Outcome::Unknown, ErrorClass::Failed, cause);
                    self.over(leg, machine, report, relay);
                }
                (UNREPORTED, Ending::Unclear(cause)) => {
                    self.scan_again(leg, machine, cause, &mut again, relay);
                }
                (_, Ending::Unclear(details)) => {
                    let cause = format!("nobody can say whether it was scanned ({details})");
                    self.scan_again(leg, machine, cause, &mut again, relay);
                }
            }
        }
        self.probe(unclear, relay);
        self.scanning += again.len();
        for errand in self.cut(RESCAN, again) {
            relay.send(errand);
        }
        self.forward(relay);
    }

    fn due(&mut self, relay: &mut Relay) {
        self.forward(relay);
    }

    fn boots(&mut self, boots: BTreeMap<TargetId, String>) {
        self.before.extend(boots);
    }

    fn back(&mut self, machines: Vec<(TargetId, Option<String>)>, relay: &mut Relay) {
        self.underway = self.underway.saturating_sub(machines.len());
        for (machine, boot) in machines {
            self.after.insert(machine.clone(), boot);
            self.returned.push(machine);
        }
        self.forward(relay);
    }
}

/// The leg that a key of the journal belongs to.
fn leg(key: &str) -> &'static str {
    match key.split('/').next() {
        Some(SCAN) => SCAN,
        Some(RESCAN) => RESCAN,
        _ => INSTALL,
    }
}

/// Asks machines whose installation ended for their boot. One that answers is back: its agent reports the end of the
/// document only after the reboot. One that does not is waited for.
async fn see_back(road: Road, home: Home, down: BTreeMap<TargetId, Down>) -> Result<(), Failure> {
    let signs = Signs { overview: road.overviews.of(&home), ..Signs::of(&road.ctx, &home)? };
    let asked = down.iter().map(|(machine, down)| (machine.clone(), down.platform));
    let said = boots(&road.ctx, &signs.ssm, &signs.overview, &mut Stopping::default(), asked).await?;
    let tell = |machine: TargetId, boot| {
        // The relay outlives what it spawned.
        let _ = road.events.send(Event::Back { machine, boot });
    };
    let mut silent = down;
    for (machine, boot) in said {
        silent.remove(&machine);
        tell(machine, boot);
    }
    if silent.is_empty() {
        return Ok(());
    }
    let told = |machine: TargetId, back: Result<back::Back, Report>| match back {
        Ok(back) => tell(machine, back.boot),
        Err(report) => road.tell(RETURN, machine, Ending::Known(report)),
    };
    back::wait(&road.ctx, &signs, "patched", silent, SILENCE, told).await
}

/// A machine whose scan ended, and what its state says.
struct Scanned {
    inputs: Arc<Inputs>,
    purpose: Purpose,
    ended_at: Option<Timestamp>,
    list: PatchList,
    must_have_rebooted: bool,
    before: Option<String>,
    after: Option<String>,
}

impl Scanned {
    fn done(&self, state: &PatchState) -> Done {
        let done = match self.purpose {
            Purpose::Judge => compliance::judge(&self.inputs, state),
            Purpose::Patch => Done { report: self.report(state), outputs: Some(self.outputs(state)) },
        };
        match self.ended_at {
            Some(at) => Done { report: done.report.at(at), ..done },
            None => done,
        }
    }

    fn report(&self, state: &PatchState) -> Report {
        if !self.must_have_rebooted || state.pending_reboot == 0 {
            return Report::succeeded();
        }
        let same = self.rebooted() == Some(false);
        let boot = if same { ", and its boot id has not changed" } else { "" };
        let cause = format!("{} patches still wait for a reboot{boot}", state.pending_reboot);
        Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
    }

    /// Whether it rebooted, where both boots are known.
    fn rebooted(&self) -> Option<bool> {
        Some(self.before.as_ref()? != self.after.as_ref()?)
    }

    fn outputs(&self, state: &PatchState) -> Value {
        let mut outputs = Map::new();
        let mut put = |name: &str, value: Value| _ = outputs.insert(name.to_owned(), value);
        put("missing", json!(state.missing));
        put("failed", json!(state.failed));
        put("pending_reboot", json!(state.pending_reboot));
        put("patch_snapshot", json!(self.list.id));
        if self.list.renewed() {
            put("renewed", json!(true));
        }
        if let Some(rebooted) = self.rebooted() {
            put("rebooted", json!(rebooted));
        }
        if let Some(boot) = &self.after {
            put("boot_id", json!(boot));
        }
        Value::Object(outputs)
    }
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

/// The same, with what the exit code of the document means (facts: AWS-RunPatchBaseline).
fn explained(report: Report, code: Option<i32>) -> Report {
    let meaning = match code {
        Some(2) => "a dependency check failed",
        Some(3) => "the reboot did not take effect",
        Some(126) => "its file system does not let programs run",
        Some(143..=148) => "the list of patches could not be fetched",
        Some(149) => "its inventory could not be reported",
        Some(151..=156) => "the patch program could not be fetched",
        _ => return report,
    };
    let cause = report.cause.unwrap_or_default();
    Report { cause: Some(format!("{meaning}: {cause}")), ..report }
}
