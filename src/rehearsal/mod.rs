//! Rehearsals: a plan is run by the real coordinator and the real actions in many simulated worlds, each with faults and
//! crashes that are drawn from its seed, and what comes of it is held against the laws.
//!
//! [`Rehearsal::world`] is one world: the same seed is the same world, entry by entry. [`Rehearsal::each`] is many of
//! them, on several threads. [`Tally`] adds up what came of them: of each world it keeps some numbers, and no more.

mod contained;
mod crash;
mod draws;
mod inspection;
pub mod lengths;
mod lives;
mod margin;
pub mod profile;
mod spread;
pub mod stand_in;
mod tally;
mod witness;

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use runbook_engine::{
    laws::{Law, Violation},
    plan::Plan,
};
use runbook_steps::{
    context::Settings,
    world::{FleetError, FleetFile},
};

pub use self::{
    crash::Crashes,
    lengths::{Length, Source},
    lives::{Ended, Rehearsed},
    margin::Margin,
    profile::{Profile, ProfileError},
    spread::Spread,
    tally::{Tally, Worst},
    witness::Entry,
};

/// A world that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("there is no world of seed {seed}")]
pub struct Senseless {
    /// Its seed.
    pub seed: u64,
    /// The fleet, or a fault of the profile in it.
    pub source: FleetError,
}

/// What is rehearsed.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The plan, made for this fleet.
    pub plan: Arc<Plan>,
    /// The machines and people.
    pub fleet: FleetFile,
    /// How long things take on them, and how that is known.
    pub lengths: Vec<Length>,
    /// What goes wrong, besides what the fleet says.
    pub profile: Profile,
    /// When the runner dies.
    pub crashes: Crashes,
    /// Limits and times.
    pub settings: Settings,
    /// Executions at a time in one run.
    pub capacity: usize,
}

impl Rehearsal {
    /// One world. With `trace`, its journal comes too. A panic in it breaks this world, and no other: what the journal had
    /// by then comes all the same.
    ///
    /// # Errors
    /// The fleet, or a fault of the profile in it, makes no sense.
    pub fn world(&self, seed: u64, trace: bool) -> Result<Rehearsed, Senseless> {
        contain(seed, |journal| lives::live(self, seed, trace.then_some(journal)))
            .map_err(|source| Senseless { seed, source })
    }

    /// The worlds of these seeds, on so many threads, handed over as they end, in no order. `hear` says whether to go on.
    ///
    /// # Errors
    /// The first that came.
    pub fn each(
        &self,
        seeds: std::ops::Range<u64>,
        jobs: usize,
        mut hear: impl FnMut(Rehearsed) -> bool,
    ) -> Result<(), Senseless> {
        if jobs <= 1 {
            // On this thread: the allocator has what the plan was made in for the world, too.
            for seed in seeds {
                if !hear(self.world(seed, false)?) {
                    break;
                }
            }
            return Ok(());
        }
        let next = AtomicU64::new(seeds.start);
        thread::scope(|scope| {
            // So few wait to be heard that a slow listener holds the worlds up, and not the memory.
            let (sender, results) = mpsc::sync_channel(jobs * 2);
            for _ in 0..jobs {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end || sender.send(self.world(seed, false)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            for result in results {
                if !hear(result?) {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// Lives through the world of a seed, whose journal goes where `live` is told.
fn contain(
    seed: u64,
    live: impl FnOnce(&RefCell<Vec<Entry>>) -> Result<Rehearsed, FleetError>,
) -> Result<Rehearsed, FleetError> {
    let journal = RefCell::new(Vec::new());
    let (came, panics) = contained::contained(|| live(&journal));
    let broken_off = || Ok(Rehearsed::broken_off(seed, panics.first().cloned(), journal.take()));
    let mut world = came.unwrap_or_else(broken_off)?;
    world.violations.extend(panics.into_iter().map(|said| Violation::of(Law::EveryWaitEnds, said)));
    Ok(world)
}

#[cfg(test)]
mod tests {
    use runbook_engine::run::event::Event;

    use super::{Entry, contain};

    #[test]
    fn a_world_that_broke_off_shows_its_journal_up_to_there() {
        let entry = |life: u32, at: &str| Entry {
            life,
            at: at.parse().expect("a moment"),
            event: Event::TaskSucceeded { task: "patch".into() },
        };
        let world = contain(7, |journal| {
            journal.borrow_mut().push(entry(1, "2026-11-21T16:00:00Z"));
            journal.borrow_mut().push(entry(2, "2026-11-21T16:01:00Z"));
            panic!("the queue is empty")
        });
        let world = world.expect("a world");
        assert_eq!((world.seed, world.trace.len(), world.entries, world.lives), (7, 2, 2, 2));
        assert_eq!((world.ended.status.as_str(), world.ended.code), ("broken", 1));
        assert_eq!(world.makespan.as_secs(), 60);
        assert!(world.violations.iter().any(|broken| broken.detail.contains("the queue is empty")));
    }
}
