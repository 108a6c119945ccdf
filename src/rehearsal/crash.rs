//! When the runner dies in a rehearsal.

use runbook_engine::plan::Plan;
use runbook_steps::world::Moment;

use super::draws::Draws;

/// When the runner dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crashes {
    /// Never.
    None,
    /// Up to three times in a world, before an append to the journal, or before or after a call: the first ones, and any of
    /// the many later ones, as likely as the size of its plan lets there be.
    Random,
    /// Before every append: each life writes as little as gets the run on.
    EveryAppend,
}

/// A life comes to so many appends, however small its plan.
const LEAST: u64 = 60;

/// The end that awaits one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lives for as long as the run.
    Lives,
    /// It dies before this append, counted from 1.
    BeforeAppend(u64),
    /// It dies at this call that writes, counted from 0.
    AtCall(u64, Moment),
}

/// The fates of a world's lives.
#[derive(Clone, Debug)]
pub(super) struct Fates {
    crashes: Crashes,
    draws: Draws,
    left: u64,
    /// Appends, and calls, that a life may come to: about as many as the plan is large.
    size: u64,
    /// How many batches a life may write before every append is a death: more where that did not get the run on.
    patience: u64,
}

impl Fates {
    pub fn of(crashes: Crashes, seed: u64, plan: &Plan) -> Self {
        let work = plan.tasks.iter().map(|task| 1 + task.targets.as_ref().map_or(0, Vec::len) as u64);
        Self::new(crashes, seed, work.sum())
    }

    fn new(crashes: Crashes, seed: u64, size: u64) -> Self {
        let mut draws = Draws::new(seed, "crashes");
        let left = if crashes == Crashes::Random { draws.between(0, 3) } else { 0 };
        Self { crashes, draws, left, size: size.max(LEAST), patience: 2 }
    }

    /// The fate of the next life; `gained`: how many entries the last one wrote besides that it went on.
    pub fn next(&mut self, gained: bool) -> Fate {
        match self.crashes {
            Crashes::None => Fate::Lives,
            Crashes::Random if self.left == 0 => Fate::Lives,
            Crashes::Random => {
                self.left -= 1;
                let kind = self.draws.between(0, 2);
                // Some plans are large and their lives short: half of the deaths come in what every life comes to.
                let most = if self.draws.between(0, 1) == 0 { LEAST } else { self.size };
                let nth = self.draws.of_any_size(1, most);
                match kind {
                    0 => Fate::BeforeAppend(1 + nth),
                    1 => Fate::AtCall(nth / 2, Moment::Before),
                    _ => Fate::AtCall(nth / 2, Moment::After),
                }
            }
            Crashes::EveryAppend => {
                self.patience = if gained { 2 } else { self.patience + 1 };
                Fate::BeforeAppend(self.patience)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Crashes, Fate, Fates};

    /// Of a large plan also what comes late is cut short, and what comes first no less than of a small one.
    #[test]
    fn a_life_ends_early_or_late() {
        let mut appends = Vec::new();
        for seed in 0..600 {
            let mut fates = Fates::new(Crashes::Random, seed, 5_000);
            let first = fates.next(true);
            assert_eq!(first, Fates::new(Crashes::Random, seed, 5_000).next(true), "seed {seed}");
            if let Fate::BeforeAppend(append) = first {
                assert!((2..=5_001).contains(&append), "{append}");
                appends.push(append);
            }
        }
        let between = |from, to| appends.iter().filter(|append| (from..to).contains(*append)).count();
        for (from, to) in [(2, 20), (60, 600), (600, 5_002)] {
            assert!(between(from, to) > 15, "{} between {from} and {to}", between(from, to));
        }
    }
}
