//! What becomes of a job on a host: decided when it is started.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    fact::{HostJob, JobEnd, Keeps},
    stock::{Shelf, Unfit, arch, manager, packages},
};
use crate::{
    ports::linux::{self, Capture, Deed, Ended, Job, Manager, Order, Package, Revert, Verdict},
    world::{
        durations::Lasting,
        fault_rule::{FaultRule, Label, RuleKind},
        machine::{Change, Condition},
        state::{State, Struck},
        time::later,
    },
};

/// The system of a group that names none.
pub const USUAL_OS: &str = "debian-12";

/// How long a host that was asked to reboot still answers.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// A job that comes to a host.
pub struct Decision<'a> {
    pub state: &'a State,
    pub machine: usize,
    pub now: Timestamp,
    pub label: Option<&'a Label>,
    /// The word of what is done; empty: nothing.
    pub deed: &'static str,
}

/// What an end of a job is made of.
struct Came {
    after: Duration,
    verdict: Verdict,
    cause: String,
    told: Value,
    code: i32,
}

impl Came {
    fn well(after: Duration) -> Self {
        Self { after, verdict: Verdict::Done, cause: String::new(), told: Value::Null, code: 0 }
    }

    fn badly(after: Duration, verdict: Verdict, code: i32, cause: impl Into<String>) -> Self {
        Self { after, verdict, cause: cause.into(), told: Value::Null, code }
    }
}

/// The word of a deed.
pub fn word(deed: &Deed) -> &'static str {
    match deed {
        Deed::Refresh { .. } => "refresh",
        Deed::Install(order) if order.back => "install-back",
        Deed::Install(_) => "install",
        Deed::Repair { .. } => "repair",
        Deed::Keep { .. } => "keep",
        Deed::Script { .. } => "script",
        Deed::Reboot => "reboot",
        Deed::Service { .. } => "service",
        Deed::File(_) => "file",
        Deed::Capture(_) => "capture",
        Deed::Revert(_) => "revert",
        Deed::Discard(_) => "discard",
    }
}

impl<'a> Decision<'a> {
    fn hit(&self, kind: RuleKind, struck: &mut Struck) -> Option<&'a FaultRule> {
        self.state.strike_job(self.machine, kind, self.deed, self.label, struck)
    }

    fn lasting(&self, what: Lasting) -> Duration {
        let nth = self.state.machines[self.machine].effects;
        self.state.roster.lasting(self.state.seed, self.machine, what, nth)
    }

    fn manager(&self) -> Manager {
        let group = self.state.roster.group(self.machine);
        manager(group.os.as_deref().unwrap_or(USUAL_OS)).unwrap_or(Manager::Apt)
    }

    fn condition(&self) -> &'a Condition {
        self.state.machines[self.machine].condition()
    }

    /// Works on the host's packages as they are.
    pub fn shelf<T>(&self, kept: Option<&str>, work: impl FnOnce(&Shelf<'_>) -> T) -> T {
        let entries = packages(self.state.roster.group(self.machine));
        let start = self.state.roster.file.start;
        let mut rules = self.state.roster.rules_for(self.machine, RuleKind::Republished, None);
        let republished =
            rules.any(|(_, rule)| self.now >= later(start, rule.after.unwrap_or_default().get()));
        work(&Shelf {
            entries: &entries,
            stock: &self.condition().stock,
            arch: arch(self.manager()),
            republished,
            kept: kept.and_then(|token| self.state.hosts.kept.get(token)),
        })
    }

    /// Decides what becomes of a job.
    pub fn decide(&self, job: &Job, struck: &mut Struck) -> HostJob {
        let mut decided = HostJob {
            token: job.token.clone(),
            run: job.run.clone(),
            machine: self.state.roster.machines[self.machine].id.clone(),
            deed: word(&job.deed).to_owned(),
            exclusive: job.exclusive,
            started: self.now,
            ended: self.now,
            end: JobEnd::Lost { rebooted: false },
            changes: Vec::new(),
            keeps: None,
        };
        let came = self.come(job, &mut decided, struck);
        decided.ended = later(self.now, came.after);
        decided.end = JobEnd::Ended(Ended {
            code: came.code,
            verdict: came.verdict,
            cause: came.cause,
            told: came.told,
            stdout: String::new(),
            stderr: String::new(),
            ended_at: Some(decided.ended),
        });
        self.lose(&mut decided, struck);
        if let Some(rule) = self.hit(RuleKind::CutOff, struck) {
            decided.changes.push((later(self.now, Duration::from_secs(1)), Change::CutOff(true)));
            if let Some(after) = rule.after {
                decided.changes.push((later(self.now, after.get()), Change::CutOff(false)));
            }
        }
        decided
    }

    /// The job may be lost in the middle: its host reboots, or somebody kills it.
    fn lose(&self, job: &mut HostJob, struck: &mut Struck) {
        let rebooted = self.hit(RuleKind::RebootsInJob, struck).is_some();
        if !rebooted && self.hit(RuleKind::JobKilled, struck).is_none() {
            return;
        }
        let half = Duration::try_from(job.ended.duration_since(job.started)).unwrap_or_default() / 2;
        let at = later(job.started, half);
        (job.ended, job.end, job.keeps) = (at, JobEnd::Lost { rebooted }, None);
        let changes = std::mem::take(&mut job.changes);
        for (_, change) in changes {
            if let Change::Packages { changes, .. } = change {
                job.changes.push((at, half_done(changes)));
            }
        }
        if rebooted {
            job.changes.push((at, Change::Down));
            job.changes.push((later(at, self.lasting(Lasting::Boot)), Change::Up));
        }
    }

    fn come(&self, job: &Job, decided: &mut HostJob, struck: &mut Struck) -> Came {
        match &job.deed {
            Deed::Refresh { lock_wait } => {
                self.locked(*lock_wait, struck).unwrap_or_else(|| Came::well(self.lasting(Lasting::Scan)))
            }
            Deed::Repair { lock_wait } => self.repair(*lock_wait, decided, struck),
            Deed::Install(order) => self.install(order, decided, struck),
            Deed::Keep { packages, .. } => self.keep(packages, decided, struck),
            // Looking changes nothing, and nothing goes wrong with it.
            Deed::Script { looks_for: Some(code), .. } => {
                Came { code: *code, ..Came::well(Duration::from_secs(1)) }
            }
            Deed::Script { .. } => self.script(decided, struck),
            Deed::Reboot => self.reboot(decided, struck),
            Deed::Service { name, verb } => self.service(name, verb, decided, struck),
            Deed::File(file) => match self.failed(struck) {
                Some(failed) => failed,
                None => Came { told: json!({ "path": file.path }), ..Came::well(Duration::from_secs(1)) },
            },
            Deed::Capture(capture) => self.capture(capture, decided, struck),
            Deed::Revert(revert) => self.revert(revert, decided, struck),
            Deed::Discard(revert) => {
                decided.keeps = Some(Keeps::Nothing(revert.token.clone()));
                Came::well(Duration::from_secs(2))
            }
        }
    }

    fn locked(&self, lock_wait: Duration, struck: &mut Struck) -> Option<Came> {
        self.hit(RuleKind::LockHeld, struck)?;
        let cause = "the lock of the package manager is held by unattended-upgrades (process 811)";
        Some(Came::badly(lock_wait, Verdict::Locked, 100, cause))
    }

    fn failed(&self, struck: &mut Struck) -> Option<Came> {
        let rule = self.hit(RuleKind::CommandFailed, struck)?;
        let cause = rule.output.clone().unwrap_or_else(|| "simulated failure".to_owned());
        Some(Came::badly(self.lasting(Lasting::Command), Verdict::Failed, rule.exit.unwrap_or(1), cause))
    }

    fn repair(&self, lock_wait: Duration, decided: &mut HostJob, struck: &mut Struck) -> Came {
        if let Some(locked) = self.locked(lock_wait, struck) {
            return locked;
        }
        let after = self.lasting(Lasting::Scan);
        if !self.condition().stock.broken.is_empty() {
            let change = Change::Packages { changes: Vec::new(), broken: Vec::new(), reboot: Vec::new() };
            decided.changes.push((later(self.now, after), change));
        }
        Came::well(after)
    }

    fn install(&self, order: &Order, decided: &mut HostJob, struck: &mut Struck) -> Came {
        if let Some(locked) = self.locked(order.lock_wait, struck) {
            return locked;
        }
        let after = self.lasting(Lasting::Patch);
        let at = later(self.now, after);
        let fails = if order.back { RuleKind::RestoreFailed } else { RuleKind::CommandFailed };
        if let Some(rule) = self.hit(fails, struck) {
            let cause = rule.output.clone().unwrap_or_else(|| "simulated failure".to_owned());
            return Came::badly(after, Verdict::Refused, rule.exit.unwrap_or(100), cause);
        }
        if self.hit(RuleKind::DiskFull, struck).is_some() {
            let cause = "no space left on device: /var/cache";
            return Came::badly(after / 2, Verdict::DiskFull, 100, cause);
        }
        let (mut changes, sick_before, reboots, sick_after) = {
            let rehearsed = self.shelf(order.kept.as_deref(), |shelf| {
                let changes = shelf.rehearse(order)?;
                let mut then = shelf.stock.clone();
                then.changed(&changes);
                let reboots: Vec<String> = shelf
                    .entries
                    .iter()
                    .filter(|entry| entry.reboot && changes.iter().any(|change| change.name == entry.name))
                    .map(|entry| entry.name.clone())
                    .collect();
                let before = shelf.is_sick_of(&shelf.stock.packages);
                let after = shelf.is_sick_of(&then.packages);
                Ok((changes, before, reboots, after))
            });
            match rehearsed {
                Ok(rehearsed) => rehearsed,
                Err(Unfit::Missing(cause)) => {
                    return Came::badly(Duration::from_secs(5), Verdict::Missing, 100, cause);
                }
                Err(Unfit::Refused(cause)) => {
                    return Came::badly(Duration::from_secs(5), Verdict::Refused, 100, cause);
                }
            }
        };
        if self.hit(RuleKind::HalfDone, struck).is_some() {
            decided.changes.push((at, half_done(changes)));
            let cause = "a script of a package exited with 1";
            return Came::badly(after, Verdict::Partly, 100, cause);
        }
        if let Some(rule) = self.hit(RuleKind::Incomplete, struck) {
            let left = changes.len().saturating_sub(rule.patches.unwrap_or(1) as usize);
            changes.truncate(left);
        }
        let nothing = changes.is_empty();
        decided.changes.push((at, Change::Packages { changes, broken: Vec::new(), reboot: reboots }));
        if sick_after {
            decided.changes.push((at, Change::Health(false)));
        } else if sick_before || order.back {
            let sick = order.back && self.hit(RuleKind::SickAfterRestore, struck).is_some();
            decided.changes.push((at, Change::Health(!sick)));
        }
        if !order.back
            && !nothing
            && let Some(rule) = self.hit(RuleKind::UnhealthyAfterPatch, struck)
        {
            decided.changes.push((later(at, rule.after.unwrap_or_default().get()), Change::Health(false)));
        }
        Came::well(if nothing { Duration::from_secs(5) } else { after })
    }

    fn keep(&self, packages: &[Package], decided: &mut HostJob, struck: &mut Struck) -> Came {
        let after = self.lasting(Lasting::Scan);
        if self.hit(RuleKind::DiskFull, struck).is_some() {
            return Came::badly(after, Verdict::DiskFull, 100, "no space left on device: /var/lib");
        }
        let (mut kept, mut missing) = (packages.to_vec(), Vec::new());
        if self.hit(RuleKind::PackageLost, struck).is_some() && !kept.is_empty() {
            missing.push(kept.remove(0));
        }
        let files = kept.iter().map(|package| (package.name.clone(), package.version.clone()));
        decided.keeps = Some(Keeps::Packages(files.collect()));
        let bytes = 1_500_000 * kept.len() as u64;
        let came = match missing.first() {
            None => Came::well(after),
            Some(one) => {
                let cause = format!("the package file of {} {} is not to be had", one.name, one.version);
                Came::badly(after, Verdict::Missing, 1, cause)
            }
        };
        Came { told: json!({ "kept": kept, "missing": missing, "bytes": bytes }), ..came }
    }

    /// A script: it succeeds on a host that is well. Faults that name no step are about patches, not about scripts.
    fn script(&self, decided: &mut HostJob, struck: &mut Struck) -> Came {
        if let Some(failed) = self.failed(struck) {
            return failed;
        }
        let after = self.lasting(Lasting::Command);
        let at = later(self.now, after);
        let spoils = self
            .state
            .roster
            .rules_for(self.machine, RuleKind::UnhealthyAfterPatch, self.label)
            .any(|(_, rule)| rule.step.is_some());
        let rule = if spoils { self.hit(RuleKind::UnhealthyAfterPatch, struck) } else { None };
        decided.changes.push(match rule {
            Some(rule) => (later(at, rule.after.unwrap_or_default().get()), Change::Spoiled),
            None => (at, Change::Mended),
        });
        Came::well(after)
    }

    fn reboot(&self, decided: &mut HostJob, struck: &mut Struck) -> Came {
        let down = later(self.now, SHUTDOWN + Duration::from_secs(1));
        decided.changes.push((down, Change::Down));
        if self.hit(RuleKind::SilentAfterReboot, struck).is_some() {
            decided.changes.push((down, Change::Broken));
        } else {
            decided.changes.push((later(down, self.lasting(Lasting::Boot)), Change::Up));
        }
        Came::well(Duration::from_secs(1))
    }

    fn service(&self, name: &str, verb: &str, decided: &mut HostJob, struck: &mut Struck) -> Came {
        if let Some(failed) = self.failed(struck) {
            return failed;
        }
        let after = Duration::from_secs(2);
        if !self.state.roster.group(self.machine).services.iter().any(|known| known == name) {
            return Came::badly(after, Verdict::Missing, 5, format!("unit {name} not found"));
        }
        let active = match verb {
            "stop" => false,
            "start" | "restart" => true,
            _ => return Came::well(after),
        };
        decided.changes.push((later(self.now, after), Change::Service { name: name.to_owned(), active }));
        Came::well(after)
    }

    fn capture(&self, capture: &Capture, decided: &mut HostJob, struck: &mut Struck) -> Came {
        let after = self.lasting(Lasting::Snapshot);
        if let Some(rule) = self.hit(RuleKind::SnapshotError, struck) {
            let cause = rule.output.clone().unwrap_or_else(|| "simulated failure".to_owned());
            return Came::badly(after, Verdict::Failed, 1, cause);
        }
        let known = &self.state.roster.group(self.machine).snapshots;
        let needs_host = !matches!(capture.method.as_str(), "restic" | "libvirt");
        if needs_host && !known.contains(&capture.method) {
            let cause = format!("the host has no {}", capture.method);
            return Came::badly(Duration::from_secs(1), Verdict::Refused, 1, cause);
        }
        let now = self.condition();
        let marker = capture.token.clone();
        decided.keeps = Some(Keeps::Snapshot { marker, stock: now.stock.clone(), content: now.content });
        Came {
            told: json!({ "snapshot": format!("{}-{}", capture.method, short(&capture.token)) }),
            ..Came::well(after)
        }
    }

    fn revert(&self, revert: &Revert, decided: &mut HostJob, struck: &mut Struck) -> Came {
        let after = self.lasting(Lasting::Restore);
        let Some((stock, content)) = self.state.hosts.snapshots.get(&revert.token) else {
            let cause = "the snapshot is gone";
            return Came::badly(Duration::from_secs(1), Verdict::Missing, 1, cause);
        };
        if let Some(rule) = self.hit(RuleKind::RestoreFailed, struck) {
            let cause = rule.output.clone().unwrap_or_else(|| "simulated failure".to_owned());
            return Came::badly(after, Verdict::Failed, 1, cause);
        }
        let at = later(self.now, after);
        let mut content = *content;
        if self.hit(RuleKind::SickAfterRestore, struck).is_some() {
            content.healthy = false;
        }
        let stock = if revert.method == "restic" { self.condition().stock.clone() } else { stock.clone() };
        decided.changes.push((at, Change::Reverted { stock: Box::new(stock), content }));
        let option = |key: &str| revert.options.get(key).and_then(Value::as_str);
        let of_root = option("path").is_none_or(|path| path == "/") && option("mode") != Some("files");
        let reboot = of_root && matches!(revert.method.as_str(), "snapper" | "btrfs" | "lvm" | "lvm-thin");
        let reboot = if reboot { "yes" } else { "no" };
        Came { told: json!({ "reboot": reboot }), ..Came::well(after) }
    }
}

/// The first half of a transaction, with what it left broken.
fn half_done(mut changes: Vec<linux::Change>) -> Change {
    let left = changes.split_off(changes.len() / 2);
    let broken = left.first().map(|change| change.name.clone()).into_iter().collect();
    Change::Packages { changes, broken, reboot: Vec::new() }
}

fn short(token: &str) -> String {
    token.chars().take(8).collect()
}
