//! Cases, tried in their worlds.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use runbook_engine::laws::Violation;

use super::{Check, Facts, Unmet};
use crate::rehearsal::{Rehearsal, Senseless};

/// A case: its worlds, and what must hold in each.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is rehearsed.
    pub rehearsal: Rehearsal,
    /// In which worlds.
    pub seeds: Vec<u64>,
    /// What must hold.
    pub checks: Vec<Check>,
}

/// What came of a case.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// In how many worlds.
    pub worlds: u64,
    /// In how many of them something did not hold.
    pub failed: u64,
    /// The one of them with the smallest seed.
    pub first: Option<Failure>,
    /// The one with the smallest seed in which a law was broken; it may be the same.
    pub broken: Option<Failure>,
    /// How long trying took, all worlds added up.
    pub took: Duration,
}

/// A world in which something did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What did not hold, in the order written.
    pub unmet: Vec<Unmet>,
    /// The laws that were broken.
    pub violations: Vec<Violation>,
}

/// Tries all cases on so many threads, one for each world at most. `hear` gets each with its number, in their order, as soon as it and all before it
/// are done: so much of what is told does not depend on the threads.
///
/// # Errors
/// A fleet makes no sense in some world.
pub fn try_all(cases: &[Case], jobs: usize, mut hear: impl FnMut(usize, Tried)) -> Result<(), Senseless> {
    let worlds: Vec<(usize, u64)> = cases
        .iter()
        .enumerate()
        .flat_map(|(number, case)| case.seeds.iter().map(move |seed| (number, *seed)))
        .collect();
    let jobs = jobs.clamp(1, worlds.len().max(1));
    let next = AtomicUsize::new(0);
    let mut tried: Vec<Tried> = vec![Tried::default(); cases.len()];
    let mut told = 0;
    thread::scope(|scope| {
        let (sender, results) = mpsc::sync_channel(jobs * 2);
        for _ in 0..jobs {
            let (sender, next, worlds) = (sender.clone(), &next, &worlds);
            scope.spawn(move || {
                while let Some((number, seed)) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = try_one(&cases[*number], *seed);
                    if sender.send((*number, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (number, result) in results {
            let (took, failure) = result?;
            tried[number].add(took, failure);
            while let Some(case) =
                cases.get(told).filter(|case| tried[told].worlds == case.seeds.len() as u64)
            {
                debug_assert!(!case.seeds.is_empty());
                hear(told, std::mem::take(&mut tried[told]));
                told += 1;
            }
        }
        Ok(())
    })
}

impl Tried {
    fn add(&mut self, took: Duration, failure: Option<Failure>) {
        self.worlds += 1;
        self.took += took;
        let Some(failure) = failure else { return };
        self.failed += 1;
        let comes_before = |other: &Option<Failure>| other.as_ref().is_none_or(|it| it.seed > failure.seed);
        if !failure.violations.is_empty() && comes_before(&self.broken) {
            self.broken = Some(failure.clone());
        }
        if comes_before(&self.first) {
            self.first = Some(failure);
        }
    }

    /// The failures that are told: the first, and the first that broke a law where that is another one.
    pub fn told(&self) -> impl Iterator<Item = &Failure> {
        let first = self.first.as_ref();
        let other = self.broken.as_ref().filter(|broken| first.is_none_or(|first| first.seed != broken.seed));
        first.into_iter().chain(other)
    }
}

fn try_one(case: &Case, seed: u64) -> Result<(Duration, Option<Failure>), Senseless> {
    let begun = Instant::now();
    let world = case.rehearsal.world(seed, true)?;
    let facts = Facts::of(&world);
    let plan = &case.rehearsal.plan;
    let unmet: Vec<Unmet> = case.checks.iter().filter_map(|check| check.unmet(plan, &facts)).collect();
    let failed = !unmet.is_empty() || !world.violations.is_empty();
    let failure = failed.then(|| Failure { seed, unmet, violations: world.violations.clone() });
    Ok((begun.elapsed(), failure))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runbook_engine::laws::{Law, Violation};

    use super::{Failure, Tried};

    #[test]
    fn a_broken_law_is_told_behind_an_expectation_that_was_not_met_before() {
        let mut tried = Tried::default();
        let broken = || vec![Violation::of(Law::EveryWaitEnds, "it waits for ever".to_owned())];
        for (seed, violations) in [(9, broken()), (3, Vec::new()), (5, broken()), (7, Vec::new())] {
            tried.add(Duration::ZERO, Some(Failure { seed, unmet: Vec::new(), violations }));
        }
        tried.add(Duration::ZERO, None);
        assert_eq!((tried.worlds, tried.failed), (5, 4));
        assert_eq!(tried.told().map(|failure| failure.seed).collect::<Vec<_>>(), [3, 5]);

        let mut once = Tried::default();
        once.add(Duration::ZERO, Some(Failure { seed: 4, unmet: Vec::new(), violations: broken() }));
        assert_eq!(once.told().map(|failure| failure.seed).collect::<Vec<_>>(), [4], "told once");
    }
}
