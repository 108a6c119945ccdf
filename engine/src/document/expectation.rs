//! Test files: what is expected of a runbook in simulated worlds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Sources,
    decode::{Decoder, Files},
    model::{Amount, Spanned},
    parse, sort,
    text::{self, Lines},
};
use crate::{
    diagnostic::{Diagnostic, Place},
    duration::Span,
    loader::NoFiles,
    outcome::TargetOutcome,
};

/// What came of reading a test file.
#[derive(Clone, Debug)]
pub struct TestReading {
    /// Its text.
    pub sources: Sources,
    /// What it says, as far as it could be read; when there are diagnostics, it is not whole.
    pub file: Option<TestFile>,
    /// All problems, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// A test file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// The runbook, relative to the file.
    pub runbook: Spanned<String>,
    /// What is expected when, in the order written.
    pub cases: Vec<TestCase>,
}

/// What is expected in one kind of world.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// Its name.
    pub name: Spanned<String>,
    /// What it shows.
    pub description: Option<String>,
    /// The worlds, with what holds for every case of the file.
    pub setting: Setting,
    /// What must hold in each of them; at least one.
    pub claims: Vec<Spanned<Claim>>,
}

/// The worlds of a case.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The machines; absent: made-up ones.
    pub fleet: Option<Written>,
    /// How many made-up machines each group of the runbook has.
    pub machines: Option<Spanned<u32>>,
    /// Values of parameters.
    pub params: BTreeMap<String, Value>,
    /// Groups and ids.
    pub limit: Vec<Spanned<String>>,
    /// What goes wrong: a text is a profile, a list is faults as in a fleet file.
    pub faults: Option<Written>,
    /// When the runner dies.
    pub crash: Option<Dying>,
    /// Which worlds.
    pub seeds: Option<Seeds>,
    /// Who answers gates, in place of the fleet's people.
    pub people: Option<Written>,
    /// When the worlds begin, in place of what the fleet says.
    pub start: Option<Timestamp>,
}

/// A value as written, for those who know what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
    /// Where each item stands, if it is a list.
    pub items: Vec<Place>,
    /// Every key in it, at any depth.
    pub keys: Vec<Spanned<String>>,
}

/// When the runner dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dying {
    /// Never.
    Never,
    /// Up to three times in a world.
    Random,
    /// Before every append to the journal.
    EveryAppend,
}

/// Which worlds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// The first so many, from 1.
    First(u32),
    /// These.
    These(Vec<u32>),
}

impl Seeds {
    /// Their seeds, in order.
    pub fn list(&self) -> Vec<u64> {
        match self {
            Self::First(many) => (1..=u64::from(*many)).collect(),
            Self::These(seeds) => seeds.iter().map(|seed| u64::from(*seed)).collect(),
        }
    }
}

/// Something that must hold. Names of machines and tasks are as written: whoever has the plan knows what they mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// The run ends as one of these, in the words of `show --json`.
    Ends(Vec<&'static str>),
    /// It never ends as one of these.
    NeverEnds(Vec<&'static str>),
    /// The run has this exit code.
    Exit(u32),
    /// Each of these machines comes out as one of these.
    Each {
        /// The machines.
        on: Spanned<String>,
        /// Words.
        words: Vec<MachineWord>,
    },
    /// None of these machines comes out as one of these.
    NoneIs {
        /// The machines; absent: all.
        on: Option<Spanned<String>>,
        /// Words.
        words: Vec<MachineWord>,
    },
    /// So many of these machines come out so.
    Count {
        /// The machines.
        on: Spanned<String>,
        /// The word.
        word: MachineWord,
        /// How many.
        bounds: Bounds,
    },
    /// The second begins after the first has ended.
    Order {
        /// A task, a step, a wave or a stage.
        first: Spanned<String>,
        /// Another one.
        then: Spanned<String>,
        /// On each of these machines; absent: over the whole run.
        on: Option<Spanned<String>>,
    },
    /// So many calls take effect.
    Calls {
        /// Which.
        which: CallWords,
        /// How many; for each machine, where machines are named.
        bounds: Bounds,
    },
    /// No such call takes effect.
    NoCall(CallWords),
    /// It does not begin.
    NoTask {
        /// A task, a step, a wave or a stage.
        task: Spanned<String>,
        /// On these machines; absent: on any.
        on: Option<Spanned<String>>,
    },
    /// Nothing that writes is done to these machines.
    NoTouch(Spanned<String>),
    /// The run ends after so long at most, by the clock of its world.
    FinishesWithin(Span),
    /// When the last machine behind a window is done, so much of the window is left.
    WindowLeft(Span),
    /// A message of the run holds this text.
    Says(String),
    /// None does.
    NeverSays(String),
}

/// Which calls.
#[derive(Clone, Debug, PartialEq)]
pub struct CallWords {
    /// In the service's words: `ssm:SendCommand`.
    pub call: Spanned<String>,
    /// What a command or a job does: `Install`, `Scan`; `install`, `reboot`.
    pub operation: Option<Spanned<String>>,
    /// Made by this task, step, wave or stage.
    pub task: Option<Spanned<String>>,
    /// On each of these machines.
    pub on: Option<Spanned<String>>,
}

/// How a machine comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineWord {
    /// Its outcome.
    Is(TargetOutcome),
    /// It succeeded, and packages were installed on it.
    Patched,
    /// Nothing that writes was done to it.
    Untouched,
}

impl MachineWord {
    /// Every word.
    pub const ALL: [Self; 12] = [
        Self::Patched,
        Self::Untouched,
        Self::Is(TargetOutcome::Succeeded),
        Self::Is(TargetOutcome::Restored),
        Self::Is(TargetOutcome::Failed),
        Self::Is(TargetOutcome::Unreachable),
        Self::Is(TargetOutcome::TimedOut),
        Self::Is(TargetOutcome::Unknown),
        Self::Is(TargetOutcome::RestoreFailed),
        Self::Is(TargetOutcome::NotStarted),
        Self::Is(TargetOutcome::Excluded),
        Self::Is(TargetOutcome::Pending),
    ];

    /// Whether a machine can come out so in a simulated world: nobody excludes any there.
    pub(crate) fn can_come(self) -> bool {
        self != Self::Is(TargetOutcome::Excluded)
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Is(outcome) => outcome.as_str(),
            Self::Patched => "patched",
            Self::Untouched => "untouched",
        }
    }
}

/// The words for how a run can end.
pub(crate) const ENDS: [&str; 6] = ["succeeded", "restored", "failed", "stuck", "cancelled", "paused"];

/// The exit codes of runs that end so.
pub(crate) const EXITS: [u32; 5] = [0, 10, 11, 12, 13];

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// At least.
    pub least: Option<Amount>,
    /// At most.
    pub most: Option<Amount>,
}

impl Bounds {
    /// Whether so many of `total` are as many as they should be.
    pub fn hold(&self, many: usize, total: usize) -> bool {
        let least = self.least.map_or(0, |amount| amount.of_rounded_up(total));
        let most = self.most.map_or(usize::MAX, |amount| amount.of_rounded_down(total));
        (least..=most).contains(&many)
    }

    /// In words: `exactly 3`, `at least 95%`, `at least 1 and at most 2`.
    pub fn words(&self) -> String {
        let amount = |amount: Amount| match amount {
            Amount::Count(count) => count.to_string(),
            Amount::Percent(share) => format!("{share}%"),
        };
        match (self.least, self.most) {
            (Some(least), Some(most)) if least == most => format!("exactly {}", amount(least)),
            (Some(least), Some(most)) => format!("at least {} and at most {}", amount(least), amount(most)),
            (Some(least), None) => format!("at least {}", amount(least)),
            (None, Some(most)) => format!("at most {}", amount(most)),
            (None, None) => "any number".to_owned(),
        }
    }
}

/// Reads a test file. Nothing in it is looked up.
pub fn read_test(name: &str, bytes: &[u8]) -> TestReading {
    let mut problems = Vec::new();
    let mut files = Files::new(&NoFiles);
    let text = text::decode(0, bytes).unwrap_or_else(|refused| {
        problems.push(refused.0);
        refused.1
    });
    files.begin(name, text.clone());
    let mut file = None;
    if problems.is_empty() {
        let lines = Lines::of(&text);
        if let Some(root) = parse::parse(0, &lines, &mut problems) {
            file = Decoder::new(0, &lines, &mut problems, &mut files, false).test_file(&root);
        } else if let Some(problem) = problems.iter_mut().find(|problem| problem.code == "empty-document") {
            *problem = Diagnostic::error("empty-document", "the file holds no tests", Place::whole(0));
        }
    }
    sort(&mut problems);
    TestReading { sources: Sources { files: files.sources }, file, diagnostics: problems }
}
