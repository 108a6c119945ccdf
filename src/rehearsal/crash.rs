//! When the runner dies in a rehearsal.

use runbook_steps::world::Moment;

use super::draws::Draws;

/// When the runner dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crashes {
    /// Never.
    None,
    /// Up to three times in a world, before an append to the journal, or before or after a call.
    Random,
    /// Before every append: each life writes as little as gets the run on.
    EveryAppend,
}

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
    /// How many batches a life may write before every append is a death: more where that did not get the run on.
    patience: u64,
}

impl Fates {
    pub fn new(crashes: Crashes, seed: u64) -> Self {
        let mut draws = Draws::new(seed, "crashes");
        let left = if crashes == Crashes::Random { draws.between(0, 3) } else { 0 };
        Self { crashes, draws, left, patience: 2 }
    }

    /// The fate of the next life; `gained`: how many entries the last one wrote besides that it went on.
    pub fn next(&mut self, gained: bool) -> Fate {
        match self.crashes {
            Crashes::None => Fate::Lives,
            Crashes::Random if self.left == 0 => Fate::Lives,
            Crashes::Random => {
                self.left -= 1;
                match self.draws.between(0, 2) {
                    0 => Fate::BeforeAppend(self.draws.between(2, 60)),
                    1 => Fate::AtCall(self.draws.between(0, 30), Moment::Before),
                    _ => Fate::AtCall(self.draws.between(0, 30), Moment::After),
                }
            }
            Crashes::EveryAppend => {
                self.patience = if gained { 2 } else { self.patience + 1 };
                Fate::BeforeAppend(self.patience)
            }
        }
    }
}
