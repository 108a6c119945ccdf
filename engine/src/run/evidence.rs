//! How machines came out with what they installed, in this run and in those that it retries.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    layout::{Layout, TargetIx},
    testing::{Standing, Testing},
};
use crate::{
    ids::{ScopeName, TargetId},
    patchset::{Evidence, Part, Version},
};

/// A version's place in the list of all of them.
pub(super) type Place = usize;

/// The outermost rollout of an installation: its name is the same in a retry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) part: Part,
    pub(super) name: Option<ScopeName>,
}

/// The machines that came out one way or the other with a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally(BTreeMap<Step, Count>);

/// Those of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Count {
    verified: u32,
    failed: u32,
    /// Those of this run among the failed.
    broke: BTreeSet<TargetIx>,
}

impl Count {
    fn bars(&self) -> bool {
        self.failed > 0 && self.verified <= self.failed
    }
}

impl Tally {
    /// Adds a machine, or takes it away; it has a number where it is one of this run.
    pub(super) fn count(&mut self, step: &Step, verified: bool, machine: Option<TargetIx>, counts: bool) {
        if !self.0.contains_key(step) {
            self.0.insert(step.clone(), Count::default());
        }
        let Some(count) = self.0.get_mut(step) else { return };
        let number = if verified { &mut count.verified } else { &mut count.failed };
        *number = if counts { number.saturating_add(1) } else { number.saturating_sub(1) };
        match machine.filter(|_| !verified) {
            Some(machine) if counts => drop(count.broke.insert(machine)),
            Some(machine) => drop(count.broke.remove(&machine)),
            None => {}
        }
        if *count == Count::default() {
            self.0.remove(step);
        }
    }

    /// Every package of a transaction is under suspicion when its machine fails. It is cleared when more machines of the
    /// same step came out verified with it than failed with it: what is well in dev may still break production.
    pub(super) fn bars(&self) -> bool {
        self.0.values().any(Count::bars)
    }

    /// A machine of this run that failed with it, of a step that bars it where there is one.
    pub(super) fn broke(&self) -> Option<TargetIx> {
        let first = |bars: bool| {
            let mut counts = self.0.values().filter(move |count| count.bars() == bars);
            counts.find_map(|count| count.broke.first().copied())
        };
        first(true).or_else(|| first(false))
    }
}

/// What is known of earlier runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    told: Vec<Evidence>,
    /// What machines of this run came out with: whether verified.
    own: BTreeMap<(Step, TargetIx), BTreeMap<Place, bool>>,
}

impl Before {
    /// How a machine came out with a version.
    pub(super) fn of(&self, step: &Step, machine: TargetIx, place: Place) -> Option<bool> {
        if self.own.is_empty() {
            return None;
        }
        self.own.get(&(step.clone(), machine))?.get(&place).copied()
    }

    /// The first machine that failed with a version.
    pub(super) fn broke(&self, version: &Version) -> Option<&TargetId> {
        let mut failed = self.told.iter().filter(|each| !each.verified && each.packages.contains(version));
        failed.find_map(|each| each.machines.first())
    }
}

impl Testing {
    /// Counts what an earlier run found out.
    pub(super) fn take_over(&mut self, evidence: Vec<Evidence>, layout: &Layout) {
        for each in &evidence {
            let step = Step { part: each.part, name: each.step.clone() };
            let places: Vec<Place> =
                each.packages.iter().map(|version| self.place(version.clone())).collect();
            for id in &each.machines {
                for place in &places {
                    self.tallies[*place].count(&step, each.verified, None, true);
                }
                if let Some(machine) = layout.target(id) {
                    let own = self.before.own.entry((step.clone(), machine)).or_default();
                    own.extend(places.iter().map(|place| (*place, each.verified)));
                }
            }
        }
        self.before.told = evidence;
        for place in 0..self.versions.len() {
            self.judge(place);
        }
    }

    /// The tallies without what machines of this run came out with.
    pub(super) fn forgotten(&self, layout: &Layout) -> Self {
        let mut again = self.clone();
        again.tallies.fill(Tally::default());
        let told = std::mem::take(&mut again.before).told;
        again.take_over(told, layout);
        again
    }

    /// What a retry takes over of it: what this run found out, in the place of what was known of the same machines.
    pub(super) fn evidence<'n>(&self, name: impl Fn(TargetIx) -> &'n TargetId) -> Vec<Evidence> {
        let mut known: BTreeMap<(Step, &TargetId), BTreeMap<&Version, bool>> = BTreeMap::new();
        for each in &self.before.told {
            let step = Step { part: each.part, name: each.step.clone() };
            for id in &each.machines {
                let of_machine = known.entry((step.clone(), id)).or_default();
                of_machine.extend(each.packages.iter().map(|version| (version, each.verified)));
            }
        }
        for (machine, list) in &self.machines {
            for one in list.iter().filter(|one| one.standing != Standing::Open) {
                let of_machine = known.entry((one.step.clone(), name(*machine))).or_default();
                let verified = one.standing == Standing::Verified;
                of_machine.extend(one.versions.iter().map(|place| (&self.versions[*place], verified)));
            }
        }
        // Most machines have the same: they share an entry.
        let mut alike: BTreeMap<(Step, bool, BTreeSet<&Version>), BTreeSet<TargetId>> = BTreeMap::new();
        for ((step, id), versions) in known {
            for verified in [true, false] {
                let of_kind = versions.iter().filter(|(_, each)| **each == verified);
                let packages: BTreeSet<&Version> = of_kind.map(|(version, _)| *version).collect();
                if !packages.is_empty() {
                    alike.entry((step.clone(), verified, packages)).or_default().insert(id.clone());
                }
            }
        }
        let evidence = alike.into_iter().map(|((step, verified, packages), machines)| Evidence {
            step: step.name,
            part: step.part,
            verified,
            machines,
            packages: packages.into_iter().cloned().collect(),
        });
        evidence.collect()
    }
}
