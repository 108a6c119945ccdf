//! What a run's machines installed, how they came out with it, and what follows from that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    evidence::{Before, Place, Step, Tally},
    layout::{Layout, ScopeIx, TargetIx, TaskIx},
};
use crate::{
    ids::TargetId,
    patchset::{Barred, Installed, Part, Tested, Version},
    plan::Plan,
};

/// The patchset of a run.
#[derive(Clone, Debug)]
pub(super) struct Testing {
    /// The step that tests; none where the plan has nothing of it.
    pub(super) from: Option<ScopeIx>,
    /// What that run had tested.
    pub(super) tested_before: Tested,
    /// What each machine installed, in each of the outermost rollouts.
    pub(super) machines: BTreeMap<TargetIx, Vec<Installation>>,
    /// How many outputs were taken in: the order of the journal.
    pub(super) told: u64,
    /// Every version that was met. Machines by the thousand have the same ones: they hold places in this list.
    pub(super) versions: Vec<Version>,
    pub(super) places: BTreeMap<Version, Place>,
    /// How machines came out with each.
    pub(super) tallies: Vec<Tally>,
    /// How machines came out in the runs that this one retries.
    pub(super) before: Before,
    /// What was barred in the run that this one retries.
    pub(super) barred_before: BTreeMap<Place, TargetId>,
    /// What is barred, by events.
    pub(super) barred: BTreeMap<Place, Bar>,
    /// Versions for which the events say something else than the tallies.
    pub(super) due: BTreeSet<Place>,
    pub(super) locked: Option<Tested>,
    /// What machines that test are given, and the others.
    pub(super) given: [Option<Arc<Value>>; 2],
}

/// What one machine installed in one rollout.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Installation {
    pub(super) rollout: Option<ScopeIx>,
    pub(super) step: Step,
    /// The last task that said so.
    pub(super) task: TaskIx,
    pub(super) platform: String,
    pub(super) versions: Vec<Place>,
    /// Packages that went away.
    pub(super) removed: BTreeSet<String>,
    pub(super) told: u64,
    pub(super) standing: Standing,
}

/// How a machine stands with what it installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    Open,
    Verified,
    Broke,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Bar {
    pub(super) broke: TargetId,
    /// A machine of this run failed with it; else only one of the run that this one retries.
    pub(super) own: bool,
}

impl Testing {
    pub(super) fn new(plan: &Plan, layout: &Layout) -> Option<Box<Self>> {
        let patchset = plan.patchset.as_ref()?;
        let carried = patchset.carried.clone().unwrap_or_default();
        let mut testing = Self {
            from: layout.scope(patchset.from.as_str()),
            tested_before: carried.tested,
            machines: BTreeMap::new(),
            told: 0,
            versions: Vec::new(),
            places: BTreeMap::new(),
            tallies: Vec::new(),
            before: Before::default(),
            barred_before: BTreeMap::new(),
            barred: BTreeMap::new(),
            due: BTreeSet::new(),
            locked: None,
            given: [None, None],
        };
        for Barred { package, broke } in carried.barred {
            let place = testing.place(package);
            testing.barred.insert(place, Bar { broke: broke.clone(), own: false });
            testing.barred_before.insert(place, broke);
        }
        testing.take_over(carried.evidence, layout);
        Some(Box::new(testing))
    }

    pub(super) fn place(&mut self, version: Version) -> Place {
        if let Some(place) = self.places.get(&version) {
            return *place;
        }
        let place = self.versions.len();
        self.places.insert(version.clone(), place);
        self.versions.push(version);
        self.tallies.push(Tally::default());
        place
    }

    /// Adds what a machine's standing says of the versions that it installed, or takes it away.
    pub(super) fn tally(&mut self, machine: TargetIx, installation: &Installation, counts: bool) {
        for place in &installation.versions {
            let verified = match installation.standing {
                Standing::Open => continue,
                Standing::Verified => true,
                Standing::Broke => false,
            };
            let tally = &mut self.tallies[*place];
            tally.count(&installation.step, verified, Some(machine), counts);
            // It was tried again: how it came out in an earlier run does not count besides.
            if let Some(verified) = self.before.of(&installation.step, machine, *place) {
                tally.count(&installation.step, verified, None, !counts);
            }
            self.judge(*place);
        }
    }

    /// What a later task says of a package is how it is now.
    pub(super) fn add(&mut self, to: &mut Installation, task: TaskIx, new: Installed) {
        let said = |name: &str| new.packages.contains_key(name);
        to.versions.retain(|place| !said(&self.versions[*place].name));
        to.removed.retain(|name| !said(name));
        for (name, versions) in new.packages {
            if versions.is_empty() {
                to.removed.insert(name);
                continue;
            }
            for version in versions {
                let name = name.clone();
                to.versions.push(self.place(Version { platform: new.platform.clone(), name, version }));
            }
        }
        to.task = task;
        to.told = self.told;
        to.platform = new.platform;
    }

    /// What is counted, and what follows from it.
    pub(super) fn counted(&self) -> (Vec<Tally>, BTreeSet<Place>) {
        (self.tallies.clone(), self.due.clone())
    }

    /// Counted anew, from what each machine installed and how it stands.
    pub(super) fn recounted(&self, layout: &Layout) -> Self {
        let mut again = self.forgotten(layout);
        for (machine, list) in &self.machines {
            for one in list {
                again.tally(*machine, one, true);
            }
        }
        again
    }

    pub(super) fn judge(&mut self, place: Place) {
        if self.is_due(place) {
            self.due.insert(place);
        } else {
            self.due.remove(&place);
        }
    }

    pub(super) fn is_due(&self, place: Place) -> bool {
        match (self.is_to_be_barred(place), self.barred.get(&place)) {
            (true, Some(bar)) => !bar.own && self.tallies[place].broke().is_some(),
            (to_be, recorded) => to_be != recorded.is_some(),
        }
    }

    pub(super) fn is_to_be_barred(&self, place: Place) -> bool {
        match &self.tallies[place] {
            // Nobody told how machines came out with it.
            tally if *tally == Tally::default() => self.barred_before.contains_key(&place),
            tally => tally.bars(),
        }
    }

    /// What came out verified on the machines that test, and is not barred.
    pub(super) fn tested(&self, restored: impl Fn(TargetIx, &Installation) -> bool) -> Tested {
        // By version: how many machines have it, and when the last of them said so.
        let mut proofs: BTreeMap<Place, (usize, u64)> = BTreeMap::new();
        let mut tested = Tested::default();
        let all =
            self.machines.iter().flat_map(|(machine, list)| list.iter().map(move |one| (*machine, one)));
        let verified =
            all.filter(|(machine, one)| one.standing == Standing::Verified && !restored(*machine, one));
        for (_, one) in verified.filter(|(_, one)| one.step.part == Part::Tests) {
            for place in &one.versions {
                let (machines, told) = proofs.entry(*place).or_default();
                *machines += 1;
                *told = one.told.max(*told);
            }
            if !one.removed.is_empty() {
                let removed = tested.removed.entry(one.platform.clone()).or_default();
                removed.extend(one.removed.iter().cloned());
            }
        }
        let mut proofs: Vec<_> = proofs.into_iter().collect();
        // Proved by most machines; of two, the one that was installed last is the one that mirrors still have.
        proofs.sort_by_key(|(place, (machines, told))| {
            std::cmp::Reverse((*machines, *told, &self.versions[*place]))
        });
        for (place, _) in proofs {
            let Version { platform, name, version } = &self.versions[place];
            // Another machine has it still.
            if let Some(removed) = tested.removed.get_mut(platform) {
                removed.remove(name);
            }
            if !self.is_to_be_barred(place) {
                tested.add(platform, name, version);
            }
        }
        tested.removed.retain(|_, names| !names.is_empty());
        tested.join(&self.tested_before, |platform, name, version| {
            let place = self.places.get(&Version::new(platform, name, version));
            place.is_none_or(|place| self.tallies[*place].broke().is_none() || !self.tallies[*place].bars())
        });
        tested
    }

    /// What is barred, in the order of platforms and names.
    pub(super) fn bars(&self) -> BTreeMap<&Version, &Bar> {
        self.barred.iter().map(|(place, bar)| (&self.versions[*place], bar)).collect()
    }

    pub(super) fn given(&mut self, part: Part) -> Arc<Value> {
        let place = match part {
            Part::Tests => 0,
            Part::Takes => 1,
        };
        if let Some(given) = &self.given[place] {
            return Arc::clone(given);
        }
        let mut barred: Map<String, Value> = Map::new();
        // What broke a machine of an earlier run may be tested again: that is what these machines are for.
        for (version, bar) in self.bars().into_iter().filter(|(_, bar)| bar.own || part == Part::Takes) {
            let list = barred.entry(&version.platform).or_insert_with(|| json!([]));
            let one = json!({ "name": version.name, "version": version.version, "broke": bar.broke });
            list.as_array_mut().into_iter().for_each(|list| list.push(one.clone()));
        }
        let mut given = match (part, &self.locked) {
            (Part::Tests, _) => json!({}),
            (Part::Takes, Some(tested)) => json!(tested),
            // Nothing is tested yet, so there is nothing to install.
            (Part::Takes, None) => json!(Tested::default()),
        };
        given["barred"] = Value::Object(barred);
        let given = Arc::new(given);
        self.given[place] = Some(Arc::clone(&given));
        given
    }
}

/// What events changed in it; the rest follows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedTesting {
    machines: BTreeMap<TargetIx, Vec<Installation>>,
    told: u64,
    versions: Vec<Version>,
    barred: BTreeMap<Place, Bar>,
    locked: Option<Tested>,
}

impl SavedTesting {
    pub(super) fn of(testing: &Testing) -> Self {
        Self {
            machines: testing.machines.clone(),
            told: testing.told,
            versions: testing.versions.clone(),
            barred: testing.barred.clone(),
            locked: testing.locked.clone(),
        }
    }

    /// As it was, from how it stood at the beginning of the run.
    pub(super) fn restored(self, mut testing: Testing, layout: &Layout) -> Testing {
        for version in self.versions {
            testing.place(version);
        }
        testing.machines = self.machines;
        testing.told = self.told;
        testing.barred = self.barred;
        testing.locked = self.locked;
        testing.recounted(layout)
    }
}
