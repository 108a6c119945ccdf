//! What becomes of a command on one machine: decided when it is sent.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    account::SentPart,
    command::{End, Part, UPLOAD, Work},
    durations::Lasting,
    fault_rule::{FaultRule, Label, RuleKind},
    fleet::Platform,
    foreign,
    machine::{Change, Reported},
    state::{State, Struck},
    time::later,
};
use crate::ports::ssm::{Invocation, InvocationStatus};

/// A status that no client knows.
const STRANGE: &str = "Suspended";
/// How long the agent takes to pick a command up.
const PICK_UP: Duration = Duration::from_secs(2);
/// A late result is this late unless the fleet says otherwise.
const LATE: Duration = Duration::from_secs(30 * 60);
/// Somebody else's scan comes this much after our operation.
const FOREIGN: Duration = Duration::from_secs(60);
/// A late report is this late.
const LATE_REPORT: Duration = Duration::from_secs(600);
/// A machine's part that lists miss appears this late.
const LATE_PART: Duration = Duration::from_secs(30);
/// A reboot that the agent is asked for comes a minute later: `shutdown -r +1` (facts: The agent).
const SHUTDOWN: Duration = Duration::from_secs(60);

/// A command that comes to a machine.
pub(super) struct Delivery<'a> {
    pub state: &'a State,
    pub machine: usize,
    pub work: &'a Work,
    pub document: &'a str,
    /// The delivery time-out.
    pub timeout: Duration,
    /// When it was sent.
    pub sent: Timestamp,
    /// When the service hands it out to this machine.
    pub at: Timestamp,
    pub label: Option<&'a Label>,
}

impl<'a> Delivery<'a> {
    fn hit(&self, kind: RuleKind, struck: &mut Struck) -> Option<&'a FaultRule> {
        self.state.strike_in(self.machine, kind, Some(self.document), self.label, struck)
    }

    fn lasting(&self, what: Lasting) -> Duration {
        let nth = self.state.machines[self.machine].effects;
        self.state.roster.lasting(self.state.seed, self.machine, what, nth)
    }

    /// When the service gives up: it cannot tell then whether it ran (facts: Time limits of a command).
    fn given_up(&self) -> Timestamp {
        later(self.sent, self.timeout + self.work.limit())
    }

    fn part(&self, started: Option<Timestamp>, ended: Timestamp, end: End) -> Part {
        Part {
            machine: self.state.roster.machines[self.machine].id.clone(),
            started,
            ended,
            shown: ended,
            end,
            stdout: String::new(),
            stderr: String::new(),
            seen_from: None,
            strange: false,
            changes: Vec::new(),
        }
    }

    /// It never came to that: its command went over its errors before (facts: Statuses of a command).
    pub fn terminated(&self) -> Part {
        self.part(None, later(self.at, PICK_UP), End::Terminated)
    }

    /// Decides what becomes of it.
    pub fn decide(&self, struck: &mut Struck) -> Part {
        let mut part = self.deliver(struck);
        if let Some(rule) = self.hit(RuleKind::LatePart, struck) {
            part.seen_from = Some(later(self.sent, rule.after.map_or(LATE_PART, |after| after.get())));
        }
        part
    }

    fn deliver(&self, struck: &mut Struck) -> Part {
        if self.hit(RuleKind::Refused, struck).is_some() {
            return self.part(None, later(self.at, PICK_UP), End::AccessDenied);
        }
        let windows = self.state.roster.group(self.machine).platform == Platform::Windows;
        if windows && self.document == "AWS-RunShellScript" {
            return self.part(None, later(self.at, PICK_UP), End::InvalidPlatform);
        }
        if self.hit(RuleKind::Terminated, struck).is_some() {
            return self.terminated();
        }
        if self.hit(RuleKind::Undeliverable, struck).is_some() {
            return self.part(None, later(self.at, Duration::from_secs(30)), End::Undeliverable);
        }
        let heard = self.state.machines[self.machine].up_from(later(self.at, PICK_UP));
        let Some(started) = heard.filter(|at| *at <= later(self.sent, self.timeout)) else {
            return self.part(None, self.given_up(), End::DeliveryTimedOut);
        };
        let lost = self.hit(RuleKind::DeliveryTimedOut, struck);
        if lost.is_some_and(|rule| rule.ran == Some(false)) {
            return self.part(None, self.given_up(), End::DeliveryTimedOut);
        }
        let mut done = self.run(started, struck);
        done.shown = done.ended;
        if lost.is_some() {
            (done.shown, done.end) = (self.given_up().max(done.ended), End::DeliveryTimedOut);
        } else if let Some(rule) = self.hit(RuleKind::LateResult, struck) {
            done.shown = later(done.ended, rule.after.map_or(LATE, |after| after.get()));
        } else if let Some(rule) = self.hit(RuleKind::StrangeStatus, struck) {
            done.shown = later(done.ended, rule.after.map_or(LATE, |after| after.get()));
            done.strange = true;
        }
        done
    }

    fn run(&self, started: Timestamp, struck: &mut Struck) -> Part {
        if let Some(rule) = self.hit(RuleKind::CommandFailed, struck) {
            let ended = later(started, self.lasting(Lasting::Command));
            let mut done = self.part(Some(started), ended, End::Failed(rule.exit.unwrap_or(1)));
            done.stderr = rule.output.clone().unwrap_or_else(|| "simulated failure".into());
            if let Work::Install { reboot, .. } = self.work {
                let left = self.state.machines[self.machine].at(ended).content.patches.missing;
                self.report(&mut done, started, struck, |report| {
                    (ended, Change::Installed { left, failed: left.min(1), reboot: *reboot, report })
                });
            }
            return done;
        }
        if self.hit(RuleKind::CommandTimedOut, struck).is_some() {
            return self.part(Some(started), later(started, self.work.limit()), End::ExecutionTimedOut);
        }
        // A patch operation that does is an installation, which has its own way through it.
        if !self.work.patches() && self.hit(RuleKind::RebootsAndRepeats, struck).is_some() {
            return self.twice(started, struck);
        }
        match self.work {
            Work::Twice { .. } => self.twice(started, struck),
            Work::BootId { .. } | Work::Other { .. } => self.script(started),
            Work::Scan { .. } | Work::Install { .. } if self.is_patched_at(started) => {
                // Two patch operations at a time disturb each other (facts: AWS-RunPatchBaseline).
                let ended = later(started, Duration::from_secs(10));
                let mut done = self.part(Some(started), ended, End::Failed(1));
                done.stderr = "another patch operation is running".into();
                done
            }
            Work::Scan { .. } => {
                let ended = later(started, self.lasting(Lasting::Scan));
                let mut done = self.part(Some(started), ended, End::Success);
                self.report(&mut done, started, struck, |report| (ended, Change::Scanned { report }));
                done
            }
            Work::Install { reboot, .. } => self.install(started, *reboot, struck),
        }
    }

    fn is_patched_at(&self, at: Timestamp) -> bool {
        let machine = &self.state.machines[self.machine];
        machine.patching_until.is_some_and(|until| until > at)
            || machine.foreign_patching.is_some_and(|(from, until)| from <= at && at < until)
    }

    /// A script: it succeeds on a machine that is well; one that only reads the boot id does on every one.
    fn script(&self, started: Timestamp) -> Part {
        let ended = later(started, self.lasting(Lasting::Command));
        let condition = self.state.machines[self.machine].at(ended);
        let asks = matches!(self.work, Work::BootId { .. });
        let end =
            if condition.up && (asks || condition.content.healthy) { End::Success } else { End::Failed(1) };
        let mut done = self.part(Some(started), ended, end);
        if asks && condition.up {
            done.stdout = format!("{}\n", boot_id(self.state, self.machine, condition.boots));
        }
        done
    }

    /// A script that asks for a reboot (exit 194): the agent runs it again after the boot, a minute after which the
    /// machine still looks well, and both passes print (facts: The agent).
    fn twice(&self, started: Timestamp, struck: &mut Struck) -> Part {
        let pass = self.lasting(Lasting::Command);
        let down = later(started, pass + SHUTDOWN);
        let mut changes = vec![(down, Change::Down)];
        let mut done = if self.hit(RuleKind::SilentAfterReboot, struck).is_some() {
            changes.push((down, Change::Broken));
            self.part(Some(started), self.given_up(), End::DeliveryTimedOut)
        } else {
            let up = later(down, self.lasting(Lasting::Boot));
            changes.push((up, Change::Up));
            self.part(Some(started), later(up, PICK_UP + pass), End::Success)
        };
        done.stdout = "first pass\nsecond pass\n".into();
        done.changes = changes;
        done
    }

    fn install(&self, started: Timestamp, reboot: bool, struck: &mut Struck) -> Part {
        let before = self.state.machines[self.machine].at(started).content.patches;
        if before.missing == 0 && before.pending_reboot == 0 {
            let ended = later(started, self.lasting(Lasting::Scan));
            let mut done = self.part(Some(started), ended, End::Success);
            self.report(&mut done, started, struck, |report| {
                (ended, Change::Installed { left: 0, failed: 0, reboot, report })
            });
            return done;
        }
        let installed = later(started, self.lasting(Lasting::Patch));
        let left = self.hit(RuleKind::Incomplete, struck).map_or(0, |rule| rule.patches.unwrap_or(1));
        let left = left.min(before.missing);
        let mut done = self.part(Some(started), installed, End::Success);
        self.report(&mut done, started, struck, |report| {
            (installed, Change::Installed { left, failed: 0, reboot, report })
        });
        if let Some(rule) = self.hit(RuleKind::UnhealthyAfterPatch, struck) {
            let sick = later(installed, rule.after.unwrap_or_default().get());
            done.changes.push((sick, Change::Health(false)));
        }
        if reboot {
            let again = self.hit(RuleKind::RebootsAndRepeats, struck).is_some();
            let down = later(installed, if again { SHUTDOWN } else { Duration::from_secs(5) });
            done.changes.push((down, Change::Down));
            if self.hit(RuleKind::SilentAfterReboot, struck).is_some() {
                done.changes.push((down, Change::Broken));
                (done.ended, done.end) = (self.given_up(), End::DeliveryTimedOut);
            } else {
                let up = later(down, self.lasting(Lasting::Boot));
                done.changes.push((up, Change::Up));
                done.ended = later(up, PICK_UP);
                if again {
                    // The second pass finds the mark of the first, and has nothing to do
                    // (facts: AWS-RunPatchBaseline).
                    done.ended = later(done.ended, PICK_UP);
                    done.stdout = "first pass\nsecond pass\n".into();
                }
            }
        }
        done
    }

    /// Adds the report of a patch operation, and what may come in its way.
    fn report(
        &self,
        done: &mut Part,
        started_at: Timestamp,
        struck: &mut Struck,
        change: impl FnOnce(Reported) -> (Timestamp, Change),
    ) {
        let late = self.hit(RuleKind::LateReport, struck);
        let late = late.map_or(Duration::ZERO, |rule| rule.after.map_or(LATE_REPORT, |after| after.get()));
        let snapshot_id = self.work.snapshot_id();
        let report = Reported { snapshot_id, started_at, shown: later(done.ended, UPLOAD + late) };
        done.changes.push(change(report));
        if let Some(rule) = self.hit(RuleKind::ForeignScan, struck) {
            let at = later(done.ended, rule.after.map_or(FOREIGN, |after| after.get()));
            let report = Reported {
                snapshot_id: Some(foreign::SNAPSHOT.to_owned()),
                started_at: at,
                shown: later(at, UPLOAD),
            };
            done.changes.push((at, Change::Scanned { report }));
        }
    }
}

/// The boot id of a machine at one of its boots.
pub(super) fn boot_id(state: &State, machine: usize, boots: u32) -> String {
    let id = &state.roster.machines[machine].id;
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{id} {boots}").as_bytes()).to_string()
}

impl Part {
    /// How the service shows it.
    pub fn show(&self, now: Timestamp, with_output: bool) -> Invocation {
        let over = now >= self.shown;
        let started = self.started.is_some_and(|at| at <= now);
        let (status, details) = match (over, started) {
            (true, _) => self.end.words(),
            (false, true) if self.strange => (InvocationStatus::Running, STRANGE),
            (false, true) => (InvocationStatus::Running, "InProgress"),
            (false, false) => (InvocationStatus::Running, "Pending"),
        };
        let never = matches!(
            self.end,
            End::Undeliverable
                | End::AccessDenied
                | End::DeliveryTimedOut
                | End::Terminated
                | End::InvalidPlatform
        );
        let ran = over && !never;
        Invocation {
            instance: self.machine.clone(),
            status,
            details: details.into(),
            exit_code: match self.end {
                End::Success if over => Some(0),
                End::Failed(code) if over => Some(code),
                _ => None,
            },
            ended_at: ran.then_some(self.ended),
            stdout: (with_output && over).then(|| self.stdout.clone()),
            stderr: (with_output && over).then(|| self.stderr.clone()),
        }
    }

    /// Whether lists have it.
    pub fn is_seen(&self, now: Timestamp) -> bool {
        self.seen_from.is_none_or(|from| from <= now)
    }

    /// Everything that the service tells of it.
    pub fn sent(&self, now: Timestamp) -> SentPart {
        let invocation = self.show(now, true);
        let status = match (now >= self.shown, self.end) {
            (false, _) => invocation.details.clone(),
            (true, End::DeliveryTimedOut | End::ExecutionTimedOut) => "TimedOut".to_owned(),
            (true, End::Cancelled | End::Terminated) => "Cancelled".to_owned(),
            (true, End::Success) => "Success".to_owned(),
            (true, _) => "Failed".to_owned(),
        };
        SentPart { invocation, status, started_at: self.started.filter(|at| *at <= now) }
    }

    /// Somebody asks to cancel it: what has not begun does not, a script is killed, an installation goes on to its
    /// end (facts: CancelCommand).
    pub fn cancel(&mut self, work: &Work, now: Timestamp) {
        if now >= self.shown {
            return;
        }
        let begun = self.started.is_some_and(|at| at <= now);
        let heard_soon = self.end != End::DeliveryTimedOut;
        if begun && heard_soon && work.patches() {
            return;
        }
        if !begun {
            self.started = None;
        }
        self.end = End::Cancelled;
        self.ended = later(now, Duration::from_secs(5));
        self.shown = self.ended;
    }
}

impl End {
    /// Whether it counts for `MaxErrors` (facts: Statuses of a command).
    pub fn is_error(self) -> bool {
        matches!(self, Self::Failed(_) | Self::ExecutionTimedOut)
    }

    pub fn words(self) -> (InvocationStatus, &'static str) {
        match self {
            Self::Success => (InvocationStatus::Succeeded, "Success"),
            Self::Failed(_) => (InvocationStatus::Failed, "Failed"),
            Self::ExecutionTimedOut => (InvocationStatus::ExecutionTimedOut, "ExecutionTimedOut"),
            Self::Undeliverable => (InvocationStatus::NeverRan, "Undeliverable"),
            Self::AccessDenied => (InvocationStatus::Refused, "AccessDenied"),
            Self::InvalidPlatform => (InvocationStatus::Refused, "InvalidPlatform"),
            Self::DeliveryTimedOut => (InvocationStatus::Unclear, "DeliveryTimedOut"),
            Self::Terminated => (InvocationStatus::NeverRan, "Terminated"),
            Self::Cancelled => (InvocationStatus::Unclear, "Cancelled"),
        }
    }
}
