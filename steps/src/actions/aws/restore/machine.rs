//! One machine that is being restored.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::{
    artifact::{Artifact, ArtifactKind, Makes},
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Target,
};

use super::{
    deed::Deed,
    next::{Known, Next},
    past::{Answered, Past, VISIBLE},
    record::{Record, Way},
    replace_root::ReplaceRoot,
    sight::{Sight, Wanted},
};
use crate::{
    action::Inputs,
    actions::aws::{
        errand::{clock, later},
        marks::TOKEN,
        patience::refusal,
    },
    context::Context,
    fanout::Done,
    ports::fault::{Fault, FaultKind},
};

/// One machine that is being restored.
pub(super) struct Machine {
    pub target: Arc<Target>,
    pub inputs: Arc<Inputs>,
    pub record: Option<Record>,
    pub past: Past,
    /// What was last seen of it.
    pub seen: String,
    /// The instance that takes its place.
    new: Option<TargetId>,
    /// Since when calls are refused, how often, and how the last one was.
    trouble: Option<(Timestamp, u32, Fault)>,
    /// Why it could not be looked at last time.
    unseen: Option<Fault>,
}

impl Machine {
    /// A machine, as far as the journal knows it.
    pub fn recalled(ctx: &Context, target: Arc<Target>, inputs: Arc<Inputs>) -> Self {
        let record = ctx.recall(target.id.as_str());
        Self {
            record: record.and_then(|kept| serde_json::from_value(kept.clone()).ok()),
            past: Past::recalled(&ctx.memory, &target.id, ctx.now()),
            seen: "not looked at yet".to_owned(),
            new: None,
            trouble: None,
            unseen: None,
            target,
            inputs,
        }
    }

    /// What must be looked at.
    pub fn wants(&self, wanted: &mut Wanted) {
        let id = &self.target.id;
        match self.record.as_ref().map(|record| &record.way) {
            None => {
                wanted.instances.insert(id.clone());
            }
            Some(Way::ReplaceRootVolume(replace)) => {
                wanted.instances.insert(id.clone());
                wanted.replacements.extend(self.past.id("replace").map(str::to_owned));
                if self.past.is_unclear("replace") {
                    wanted.new_replacements.insert(replace.token.clone());
                }
                if ReplaceRoot::returns(&self.past) {
                    wanted.returning.insert(id.clone());
                }
            }
            Some(Way::SwapVolumes(swap)) => {
                wanted.instances.insert(id.clone());
                wanted.volumes.extend(swap.new_volumes(&self.past));
                wanted.new_volumes.extend(swap.tokens(|deed| self.past.is_unclear(deed)));
                if swap.returns(&self.past) {
                    wanted.returning.insert(id.clone());
                }
            }
            Some(Way::BackupRestore(new)) => {
                let since = new.listed_since();
                wanted.jobs = Some(wanted.jobs.map_or(since, |earlier| earlier.min(since)));
                wanted.returning.extend(self.new.clone());
            }
        }
    }

    /// What was asked for without our knowing of an answer, and is there.
    pub fn found(&mut self, sight: &Sight) -> Vec<(String, String)> {
        let mut found = Vec::new();
        match self.record.as_ref().map(|record| &record.way) {
            Some(Way::ReplaceRootVolume(replace)) if self.past.is_unclear("replace") => {
                let ours = sight.replacements.values().find(|task| {
                    task.instance == self.target.id.as_str() && task.tags.get(TOKEN) == Some(&replace.token)
                });
                found.extend(ours.map(|task| ("replace".to_owned(), task.id.clone())));
            }
            Some(Way::SwapVolumes(swap)) => {
                for volume in sight.volumes.values() {
                    let deed = volume.tags.get(TOKEN).and_then(|token| swap.deed_of(token));
                    if let Some(deed) = deed.filter(|deed| self.past.is_unclear(deed)) {
                        found.push((deed, volume.id.clone()));
                    }
                }
            }
            Some(Way::BackupRestore(new)) => {
                if self.past.is_unclear("restore")
                    && let Some(job) = new.job(&self.past, &sight.jobs)
                {
                    found.push(("restore".to_owned(), job.id.clone()));
                }
                self.new = new.made(&self.past, &sight.jobs).or(self.new.take());
            }
            _ => {}
        }
        found
    }

    /// It cannot be looked at. Where something was asked for, it may go on there, whether we may see it or not: a right
    /// that is given back lets the restore go on. `Some`: nothing was.
    pub fn unseen(&mut self, fault: Fault) -> Option<Done> {
        let refused = self.past.is_blank().then(|| Done::of(refusal(&fault)));
        self.unseen = Some(fault);
        refused
    }

    /// What is next, of what may be done now.
    pub fn next(&mut self, sight: &Sight, now: Timestamp, settle: Duration) -> Next {
        self.unseen = None;
        let Some(record) = &self.record else { return Next::Wait(self.seen.clone()) };
        let known = Known { machine: &self.target.id, past: &self.past, sight, now };
        let next = match &record.way {
            Way::ReplaceRootVolume(replace) => replace.next(&known),
            Way::SwapVolumes(swap) => swap.next(&known),
            Way::BackupRestore(new) => new.next(&known),
        };
        match next {
            Next::Call(mut deeds) => {
                deeds.retain(|deed| {
                    matches!(deed, Deed::Note(_)) || self.past.allows(&deed.name(), now, settle)
                });
                if deeds.is_empty() { Next::Wait(self.seen.clone()) } else { Next::Call(deeds) }
            }
            Next::Wait(seen) => {
                self.seen = seen.clone();
                Next::Wait(seen)
            }
            over => over,
        }
    }

    /// What a deed makes.
    pub fn makes(deed: &Deed) -> Option<Makes> {
        // A new volume is in use from then on, by the machine: nobody collects it.
        matches!(deed, Deed::Create { .. }).then_some(Makes { kind: ArtifactKind::Volume, expires: None })
    }

    /// What a deed made, for the ledger: all but its id, which the service gives.
    pub fn made(&self, deed: &Deed) -> Option<Artifact> {
        let Deed::Create { request, .. } = deed else { return None };
        Some(self.volume("", request.token.clone(), Some(request.size_gib), None))
    }

    /// What a deed leaves behind, for the ledger.
    pub fn left(&self, deed: &Deed) -> Vec<Artifact> {
        let marks = match self.record.as_ref().map(|record| &record.way) {
            Some(Way::ReplaceRootVolume(replace)) => &replace.marks,
            Some(Way::SwapVolumes(swap)) => &swap.marks,
            _ => return Vec::new(),
        };
        match deed {
            Deed::Tag { of, resources, .. } if of == "old" => {
                resources.iter().map(|id| self.volume(id, marks.left.clone(), None, marks.expires)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What the ledger must know where the restore failed: volumes that were made for a machine that was never touched
    /// are collected when their time is over, and its own volumes are not.
    pub fn unused(&self) -> Vec<Artifact> {
        let swap = match self.record.as_ref().map(|record| &record.way) {
            Some(Way::SwapVolumes(swap)) => swap,
            Some(Way::ReplaceRootVolume(replace)) => {
                let old = replace.still_in_use(&self.past);
                return old.map(|id| self.volume(id, replace.marks.left.clone(), None, None)).collect();
            }
            _ => return Vec::new(),
        };
        let new = swap.unused(&self.past);
        let marked = new.iter().flat_map(|(one, _)| &one.old).filter(|_| self.past.is_over("tag old"));
        let old: Vec<_> = marked.map(|id| self.volume(id, swap.marks.left.clone(), None, None)).collect();
        let new = new.into_iter().map(|(one, id)| {
            self.volume(&id, one.token.clone(), Some(one.recorded.size_gib), swap.marks.expires)
        });
        new.chain(old).collect()
    }

    fn volume(&self, id: &str, token: String, size_gib: Option<u32>, expires: Option<Timestamp>) -> Artifact {
        Artifact {
            kind: ArtifactKind::Volume,
            id: id.to_owned(),
            token,
            target: self.target.id.clone(),
            home: self.target.home.clone(),
            vault: None,
            size_gib: size_gib.map(u64::from),
            expires,
        }
    }

    /// A deed was answered.
    pub fn answer(&mut self, deed: String, answered: Answered) {
        self.trouble = None;
        self.past.answer(deed, answered);
    }

    /// A deed was not. `Some`: the machine cannot be restored so.
    pub fn refuse(&mut self, deed: &Deed, fault: &Fault, now: Timestamp) -> Option<Done> {
        let name = deed.name();
        let (since, times) = self.trouble.as_ref().map_or((now, 0), |(since, times, _)| (*since, *times));
        self.trouble = Some((since, times + 1, fault.clone()));
        let pause = match fault.kind {
            FaultKind::Ambiguous => {
                self.past.doubt(name, now);
                return None;
            }
            FaultKind::Throttled | FaultKind::NotSent => 2_u64.saturating_pow(times.min(5)),
            FaultKind::Busy => 15,
            // What is new may not be known everywhere yet.
            FaultKind::NotFound if now < later(since, VISIBLE) => 15,
            // Minutes apart: the machine is down meanwhile, so a person should know at once.
            FaultKind::Capacity => {
                tracing::warn!(machine = %self.target.id, %fault, "there is no room for the machine; it is down");
                if matches!(deed, Deed::Start) {
                    self.seen = "the machine is stopped, its volumes are in place".to_owned();
                }
                120
            }
            _ if matches!(deed, Deed::Tag { .. } | Deed::Terminate(_)) => {
                tracing::warn!(machine = %self.target.id, %fault, "the restore goes on without this");
                self.past.give_up(name);
                return None;
            }
            _ => {
                let mut report = refusal(fault);
                report.cause = report.cause.map(|cause| format!("{cause}; last seen: {}", self.seen));
                return Some(Done::of(report));
            }
        };
        self.past.hold(name, later(now, Duration::from_secs(pause)));
        None
    }

    /// What is said of a machine whose time is long over.
    pub fn given_up(&self) -> Done {
        let seen = &self.seen;
        if let Some(fault) = &self.unseen {
            let cause = format!("the end of the restore was not seen: {fault}; last seen: {seen}");
            return Done::of(Report::failed(Outcome::Unknown, ErrorClass::Failed, cause));
        }
        let report = match &self.trouble {
            // It was refused every time: nothing goes on there.
            Some((since, times, fault)) if fault.kind != FaultKind::Ambiguous => {
                let cause = format!("{fault}, {times} times since {}; last seen: {seen}", clock(*since));
                // Where something was done to the machine before, it must not be taken for one that is as it was.
                let untouched = self.past.is_untouched();
                let class = if untouched { fault.kind.class() } else { ErrorClass::Failed };
                Report::failed(Outcome::Failed, class, cause)
            }
            trouble => {
                let mut cause = format!("the restore did not come to an end; last seen: {seen}");
                if let Some((_, _, fault)) = trouble {
                    cause = format!("{cause}; {fault}");
                }
                Report::failed(Outcome::Unknown, ErrorClass::Failed, cause)
            }
        };
        Done::of(report)
    }
}
