//! What this run has tested, which versions broke a machine, and what each attempt is given of both.
//!
//! Facts are weighed as they come in; what follows from them (a patchset is locked, versions are barred or cleared) is
//! decided in `commands` and holds from its event on, so that an attempt is given the same in every life.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    Run,
    apply::Applied,
    command::Command,
    event::Event,
    evidence::Step,
    illegal::IllegalEvent,
    layout::{ScopeIx, TargetIx, TaskIx},
    testing::{Bar, Installation, Standing, Testing},
};
use crate::{
    ids::{ScopeName, TargetId, TaskName},
    patchset::{Barred, Carried, Installed, Tested, Version},
    plan::ScopeKind,
};

impl Run {
    /// What an attempt of a task is given of the patchset; none where its action takes none, or the runbook has none.
    /// As it was when the attempt began: by `platforms` (absent where patches are tested) what may be installed, by
    /// `barred` what may not.
    pub fn patchset(&self, task: &TaskName) -> Option<Arc<Value>> {
        self.layout.task(task.as_str()).and_then(|ix| self.tasks[ix.at()].patchset.clone())
    }

    /// What was locked: what the other machines may install. None before that.
    pub fn locked_patchset(&self) -> Option<&Tested> {
        self.testing.as_ref()?.locked.as_ref()
    }

    /// The versions that are not installed any more, and the machines that failed with them.
    pub fn barred_packages(&self) -> Vec<Barred> {
        let barred = self.testing.iter().flat_map(|testing| testing.bars());
        barred.map(|(package, bar)| Barred { package: package.clone(), broke: bar.broke.clone() }).collect()
    }

    /// What a retry of this run takes over: what was locked, or was taken over by this run itself, and what is barred.
    pub fn carried_patchset(&self) -> Option<Carried> {
        let testing = self.testing.as_ref()?;
        let tested = testing.locked.as_ref().unwrap_or(&testing.tested_before).clone();
        let evidence = testing.evidence(|machine| self.target_name(machine));
        Some(Carried { tested, barred: self.barred_packages(), evidence })
    }

    /// What an attempt that begins now is given.
    pub(super) fn give_patchset(&mut self, ix: TaskIx) {
        let part = self.plan.task_at(ix).patchset;
        let given = part.and_then(|part| Some(self.testing.as_mut()?.given(part)));
        self.tasks[ix.at()].patchset = given;
    }

    /// Decisions that are due, before anything else is decided.
    pub(super) fn patchset_commands(&self, out: &mut Vec<Command>) {
        let Some(testing) = &self.testing else { return };
        let (mut barred, mut cleared) = (Vec::new(), Vec::new());
        for place in &testing.due {
            let package = testing.versions[*place].clone();
            if !testing.is_to_be_barred(*place) {
                cleared.push(package);
                continue;
            }
            let own = testing.tallies[*place].broke().map(|machine| self.target_name(machine));
            let before = || testing.barred_before.get(place).or_else(|| testing.before.broke(&package));
            let broke = own.or_else(before).cloned();
            barred.extend(broke.map(|broke| Barred { package, broke }));
        }
        barred.sort();
        cleared.sort();
        if !barred.is_empty() {
            out.push(Command::Record(Event::PackagesBarred { packages: barred }));
        }
        if !cleared.is_empty() {
            out.push(Command::Record(Event::PackagesCleared { packages: cleared }));
        }
        if testing.locked.is_none()
            && let Some(from) = self.plan.patchset.as_ref().map(|patchset| &patchset.from)
            && self.is_tested()
        {
            let from = ScopeName::from(from.as_str());
            // What was restored afterwards does not run what it verified any more.
            let restored = |machine: TargetIx, one: &Installation| {
                let mut rollouts = self.layout.tasks[one.task.at()].rollouts.iter();
                rollouts
                    .any(|rollout| self.passage(*rollout, machine).is_some_and(|passage| passage.restored))
            };
            out.push(Command::Record(Event::PatchsetLocked { from, tested: testing.tested(restored) }));
        }
    }

    /// Whether the machines that test have nothing more to do.
    fn is_tested(&self) -> bool {
        let from = self.testing.as_ref().and_then(|testing| testing.from);
        from.is_none_or(|from| self.scopes[from.at()].remaining == 0)
    }

    pub(super) fn patchset_locked(&mut self, tested: &Tested) -> Applied {
        let over = self.is_tested();
        let testing = self.testing_mut()?;
        if testing.locked.is_some() || !over {
            return Err(IllegalEvent::new("the patchset cannot be locked now"));
        }
        testing.locked = Some(tested.clone());
        testing.given = [None, None];
        Ok(())
    }

    pub(super) fn packages_barred(&mut self, packages: &[Barred]) -> Applied {
        let testing = self.testing_mut()?;
        let barred = |package: &Version| {
            testing.places.get(package).and_then(|place| testing.barred.get(place)).is_some_and(|bar| bar.own)
        };
        if let Some(Barred { package, .. }) = packages.iter().find(|one| barred(&one.package)) {
            return Err(IllegalEvent::new(format!("{} {} is barred already", package.name, package.version)));
        }
        for Barred { package, broke } in packages {
            let place = testing.place(package.clone());
            testing.barred.insert(place, Bar { broke: broke.clone(), own: true });
            testing.judge(place);
        }
        testing.given = [None, None];
        Ok(())
    }

    pub(super) fn packages_cleared(&mut self, packages: &[Version]) -> Applied {
        let testing = self.testing_mut()?;
        let place = |package| testing.places.get(package).filter(|place| testing.barred.contains_key(*place));
        if let Some(package) = packages.iter().find(|package| place(package).is_none()) {
            return Err(IllegalEvent::new(format!("{} {} is not barred", package.name, package.version)));
        }
        for place in packages.iter().map(|package| testing.places[package]).collect::<Vec<_>>() {
            testing.barred.remove(&place);
            testing.judge(place);
        }
        testing.given = [None, None];
        Ok(())
    }

    fn testing_mut(&mut self) -> Result<&mut Testing, IllegalEvent> {
        self.testing.as_deref_mut().ok_or_else(|| IllegalEvent::new("the runbook has no patchset"))
    }

    /// A task told what it installed.
    pub(super) fn installed(&mut self, ix: TaskIx, outputs: &BTreeMap<TargetId, Value>) {
        let Some(part) = self.plan.task_at(ix).patchset else { return };
        let rollout = self.layout.tasks[ix.at()].rollouts.last().copied();
        let name = rollout.map(|rollout| self.plan.scopes[rollout.at()].name.clone());
        let step = Step { part, name };
        for (id, value) in outputs {
            let (Some(machine), Some(new)) = (self.layout.target(id), Installed::read(value)) else {
                continue;
            };
            let Some(testing) = self.testing.as_deref_mut() else { return };
            testing.told += 1;
            let mut list = testing.machines.remove(&machine).unwrap_or_default();
            let at = list.iter().position(|one| one.rollout == rollout).unwrap_or_else(|| {
                list.push(Installation {
                    rollout,
                    step: step.clone(),
                    task: ix,
                    platform: String::new(),
                    versions: Vec::new(),
                    removed: BTreeSet::new(),
                    told: 0,
                    standing: Standing::Open,
                });
                list.len() - 1
            });
            testing.tally(machine, &list[at], false);
            testing.add(&mut list[at], ix, new);
            testing.tally(machine, &list[at], true);
            testing.machines.insert(machine, list);
            self.weigh(machine);
        }
    }

    /// Something became of a machine: what it installed may stand differently now.
    pub(super) fn weigh(&mut self, machine: TargetIx) {
        let Some(mut testing) = self.testing.take() else { return };
        if let Some(mut list) = testing.machines.remove(&machine) {
            for one in &mut list {
                let standing = self.standing(one, machine);
                if standing != one.standing {
                    testing.tally(machine, one, false);
                    one.standing = standing;
                    testing.tally(machine, one, true);
                }
            }
            testing.machines.insert(machine, list);
        }
        self.testing = Some(testing);
    }

    /// A wave or part has nothing more to do.
    pub(super) fn weigh_all(&mut self, scope: ScopeIx) {
        if self.testing.is_none()
            || !matches!(self.plan.scopes[scope.at()].kind, ScopeKind::Wave { .. } | ScopeKind::Part { .. })
        {
            return;
        }
        for machine in self.layout.scopes[scope.at()].targets.clone() {
            self.weigh(machine);
        }
    }

    fn standing(&self, one: &Installation, machine: TargetIx) -> Standing {
        let node = &self.layout.tasks[one.task.at()];
        let passages = || node.rollouts.iter().filter_map(|rollout| self.passage(*rollout, machine));
        if passages().any(|passage| passage.failure.is_some()) {
            return Standing::Broke;
        }
        // Its way through the outermost wave, or its part of that.
        let part = |scope: &&ScopeIx| matches!(self.plan.scopes[scope.at()].kind, ScopeKind::Part { .. });
        let way = match node.waves.as_slice() {
            [.., inner, _] if part(&inner) => Some(*inner),
            [.., outer] => Some(*outer),
            [] => None,
        };
        let through =
            way.is_some_and(|way| self.scopes[way.at()].remaining == 0 && self.came_through(way, machine));
        if through { Standing::Verified } else { Standing::Open }
    }

    /// What a full scan says otherwise of standings, tallies or what is due; for debug builds and tests.
    pub(super) fn patchset_disagreement(&self) -> Option<String> {
        let testing = self.testing.as_ref()?;
        let again = testing.recounted(&self.layout);
        for (machine, list) in &testing.machines {
            for one in list {
                if one.standing != self.standing(one, *machine) {
                    return Some(format!(
                        "{} stands otherwise with its packages",
                        self.target_name(*machine)
                    ));
                }
            }
        }
        if again.tallies != testing.tallies || again.due != testing.due {
            return Some("the packages are counted otherwise".into());
        }
        None
    }
}
