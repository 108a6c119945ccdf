//! What came of tests, for a person at a terminal.

use std::fmt::Write as _;

use super::{paint::Paint, words::count};
use crate::expectation::{Failure, Tried};

/// A case that was tried.
#[derive(Clone, Debug)]
pub struct Told {
    /// The test file.
    pub file: String,
    /// The case.
    pub name: String,
    /// What it shows.
    pub description: Option<String>,
    /// What came of it.
    pub tried: Tried,
    /// The command that shows a world of it again, without its seed.
    pub again: String,
}

impl Told {
    /// Whether everything held in every world.
    pub fn holds(&self) -> bool {
        self.tried.failed == 0
    }

    /// The command that shows this world again.
    pub fn command(&self, seed: u64) -> String {
        format!("{} --seed {seed} --trace", self.again)
    }

    /// Whether a law was broken in any world.
    pub fn breaks_a_law(&self) -> bool {
        self.tried.broken.is_some()
    }

    /// What did not hold in a world, line by line, with where each is written.
    pub fn lines(&self, failure: &Failure) -> Vec<String> {
        let broken = failure.violations.iter().map(|broken| {
            format!("expected {}\ncame     {} (a defect of runbook)", broken.law.words(), broken.detail)
        });
        let unmet = failure.unmet.iter().map(|unmet| {
            format!(
                "expected {}  ({}:{}:{})\ncame     {}",
                unmet.expected, self.file, unmet.place.line, unmet.place.column, unmet.came
            )
        });
        broken.chain(unmet).collect()
    }
}

/// A case: one line, and what did not hold.
pub fn case(told: &Told, width: usize, paint: Paint) -> String {
    let tried = &told.tried;
    let worlds = count(usize::try_from(tried.worlds).unwrap_or(usize::MAX), "world");
    let Some(first) = &tried.first else {
        return format!("  {}      {:width$}  {}\n", paint.green("ok"), told.name, paint.dim(&worlds));
    };
    let where_ = match tried.worlds {
        1 => format!("seed {}", first.seed),
        _ => format!("{} of {worlds}, first seed {}", tried.failed, first.seed),
    };
    let mut text = format!("  {}  {:width$}  {}\n", paint.red("FAILED"), told.name, paint.dim(&where_));
    for failure in tried.told() {
        for line in told.lines(failure).iter().flat_map(|line| line.lines()) {
            let _ = writeln!(text, "            {line}");
        }
        let _ = writeln!(text, "            see it:  {}", told.command(failure.seed));
    }
    text
}

/// The last line.
pub fn sum(cases: usize, failed: usize, worlds: u64, paint: Paint) -> String {
    let worlds = count(usize::try_from(worlds).unwrap_or(usize::MAX), "world");
    let text = match failed {
        0 => paint.green(&format!("all {} hold", count(cases, "case"))),
        _ => paint.red(&format!("{failed} of {} failed", count(cases, "case"))),
    };
    format!("\n{text} ({worlds})\n")
}
