//! What came of rehearsed worlds, for a person at a terminal.

use std::{fmt::Write as _, ops::Range};

use jiff::Timestamp;
use runbook_engine::{laws::Law, outcome::TargetOutcome, plan::Plan};
use runbook_steps::world::FleetFile;

use super::{
    columns::columns,
    paint::Paint,
    words::{count, length},
};
use crate::rehearsal::{Crashes, Length, Profile, Source, Spread, Tally};

/// How long the longest bar is.
const BAR: usize = 40;

/// How many bars a histogram has at most.
const BARS: usize = 16;

/// How many causes are told.
const MOST_CAUSES: usize = 8;

/// How many broken laws are told.
const MOST_VIOLATIONS: usize = 12;

/// What was rehearsed.
pub struct About<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The machines.
    pub fleet: &'a FleetFile,
    /// What went wrong.
    pub profile: &'a Profile,
    /// When the runner died.
    pub crashes: Crashes,
    /// How long things took, and how that is known.
    pub lengths: &'a [Length],
    /// Which worlds.
    pub seeds: Range<u64>,
    /// The command that shows one of them again, without its seed.
    pub again: String,
    /// When it was rehearsed.
    pub at: Timestamp,
}

impl About<'_> {
    /// The command that shows this world again.
    pub fn command(&self, seed: u64) -> String {
        format!("{} --seed {seed} --trace", self.again)
    }

    /// The command that rehearses all of them again.
    pub fn again_all(&self) -> String {
        let (first, many) = (self.seeds.start, self.seeds.end.saturating_sub(self.seeds.start));
        format!("{} --seed {first} --seeds {many}", self.again)
    }

    /// When the runner died, in words.
    pub fn crashes_in_words(&self) -> &'static str {
        match self.crashes {
            Crashes::None => "the runner does not die",
            Crashes::Random => "the runner dies up to three times in a world",
            Crashes::EveryAppend => "the runner dies before every append to its journal",
        }
    }
}

/// The page.
pub fn page(about: &About<'_>, tally: &mut Tally, paint: Paint) -> String {
    let mut text = format!(
        "{}  {}\n",
        paint.bold(&about.plan.runbook),
        paint.dim(&format!(
            "rehearsed in {} on {} of {}, seeds {} to {}",
            count(number(tally.worlds), "world"),
            count(about.plan.targets.len(), "machine"),
            about.fleet.fleet,
            about.seeds.start,
            about.seeds.end.saturating_sub(1),
        ))
    );
    let faults = about.profile.description.as_deref().unwrap_or_default();
    let _ = writeln!(text, "  {}", paint.dim(&format!("faults {}: {faults}", about.profile.name)));
    let died = format!("{}: {} in all", about.crashes_in_words(), grouped(tally.crashes));
    let _ = writeln!(text, "  {}\n", paint.dim(&died));
    laws(&mut text, about, tally, paint);
    ends(&mut text, tally, paint);
    machines(&mut text, tally, paint);
    spreads(&mut text, tally, paint);
    finish(&mut text, tally, paint);
    window(&mut text, tally, paint);
    lengths(&mut text, about.lengths, paint);
    worst(&mut text, about, tally, paint);
    text
}

fn laws(text: &mut String, about: &About<'_>, tally: &Tally, paint: Paint) {
    if tally.broken == 0 {
        let held = format!("all {} laws were kept in every world", Law::ALL.len());
        let _ = writeln!(text, "{}  {}", paint.bold("laws"), paint.green(&held));
        return;
    }
    let _ =
        writeln!(text, "{}  {}", paint.bold("laws"), paint.red(&format!("broken {} times", tally.broken)));
    let rows: Vec<Vec<String>> = tally
        .violations
        .iter()
        .take(MOST_VIOLATIONS)
        .map(|(seed, broken)| {
            vec![format!("seed {seed}"), paint.red(broken.law.words()), broken.detail.clone()]
        })
        .collect();
    text.push_str(&columns(&rows, "  "));
    if let Some((seed, _)) = tally.violations.first() {
        let _ = writeln!(text, "  see it again: {}", about.command(*seed));
    }
}

fn ends(text: &mut String, tally: &Tally, paint: Paint) {
    let _ = writeln!(text, "\n{}", paint.bold("how runs end"));
    let most = tally.statuses.values().copied().max().unwrap_or(1);
    let rows: Vec<Vec<String>> = tally
        .statuses
        .iter()
        .map(|(status, worlds)| {
            vec![
                paint.status(status),
                grouped(*worlds),
                share(*worlds, tally.worlds),
                paint.dim(&bar(*worlds, most)),
            ]
        })
        .collect();
    text.push_str(&columns(&rows, "  "));
    let mut causes: Vec<_> = tally.causes.iter().collect();
    causes.sort_by_key(|(_, (worlds, _))| std::cmp::Reverse(*worlds));
    if !causes.is_empty() {
        let _ = writeln!(text, "\n{}", paint.bold("why"));
        let rows: Vec<Vec<String>> = causes
            .iter()
            .take(MOST_CAUSES)
            .map(|(cause, (worlds, seed))| {
                vec![grouped(*worlds), paint.dim(&format!("seed {seed}")), (*cause).clone()]
            })
            .collect();
        text.push_str(&columns(&rows, "  "));
        if causes.len() > MOST_CAUSES {
            let _ = writeln!(
                text,
                "  {}",
                paint.dim(&format!("and {} other causes", causes.len() - MOST_CAUSES))
            );
        }
    }
}

fn machines(text: &mut String, tally: &Tally, paint: Paint) {
    let _ = writeln!(text, "\n{}", paint.bold("how machines come out"));
    let all: u64 = tally.machines.values().sum();
    let rows: Vec<Vec<String>> = tally
        .machines
        .iter()
        .map(|(outcome, machines)| {
            vec![paint.status(outcome.as_str()), grouped(*machines), share(*machines, all)]
        })
        .collect();
    text.push_str(&columns(&rows, "  "));
    if tally.machines.contains_key(&TargetOutcome::RestoreFailed)
        || tally.machines.contains_key(&TargetOutcome::Unknown)
    {
        let mut stuck: Vec<_> = tally.stuck_machines.iter().collect();
        stuck.sort_by_key(|(_, worlds)| std::cmp::Reverse(**worlds));
        let names: Vec<String> =
            stuck.iter().take(5).map(|(machine, worlds)| format!("{machine} ({worlds})")).collect();
        let _ = writeln!(
            text,
            "  {}",
            paint.dim(&format!("a person is needed most often for {}", names.join(", ")))
        );
    }
}

fn spreads(text: &mut String, tally: &mut Tally, paint: Paint) {
    let row = |name: &str, spread: &mut Spread, show: fn(i64) -> String| {
        let cell = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), show);
        vec![name.to_owned(), cell(spread.percentile(50)), cell(spread.percentile(95)), cell(spread.max())]
    };
    let _ = writeln!(text);
    let rows = [
        vec![paint.bold("in a world"), paint.dim("median"), paint.dim("p95"), paint.dim("most")],
        row("finish after", &mut tally.makespan_s, lasting),
        row("machines touched", &mut tally.touched, plain),
        row("machines restored", &mut tally.restored, plain),
        row("machines stuck", &mut tally.stuck, plain),
        row("calls", &mut tally.calls, plain),
        row("journal entries", &mut tally.entries, plain),
    ];
    text.push_str(&columns(&rows, "  "));
}

fn finish(text: &mut String, tally: &mut Tally, paint: Paint) {
    let bars = tally.makespan_s.bars(BARS);
    if bars.len() < 2 {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.bold("finish after"));
    let most = bars.iter().map(|(_, worlds)| *worlds as u64).max().unwrap_or(1);
    let rows: Vec<Vec<String>> = bars
        .iter()
        .map(|(from, worlds)| {
            vec![lasting(*from), paint.blue(&bar(*worlds as u64, most)), grouped(*worlds as u64)]
        })
        .collect();
    text.push_str(&columns(&rows, "  "));
}

fn window(text: &mut String, tally: &mut Tally, paint: Paint) {
    let behind = tally.margin_s.count();
    if behind == 0 {
        return;
    }
    let late = tally.margin_s.below(0);
    let left = tally.margin_s.percentile(0).unwrap_or(0);
    let words = if late == 0 {
        paint.green(&format!(
            "everything behind a window was done before it closed, {} at the latest",
            lasting(left)
        ))
    } else {
        paint.yellow(&format!(
            "in {} of {} worlds the last machine was done after the window had closed, {} at the latest",
            grouped(late as u64),
            grouped(behind as u64),
            lasting(left)
        ))
    };
    let _ = writeln!(text, "\n{}  {words}", paint.bold("window"));
}

fn lengths(text: &mut String, lengths: &[Length], paint: Paint) {
    if lengths.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.bold("how long things took"));
    let rows: Vec<Vec<String>> = lengths
        .iter()
        .map(|length| {
            vec![length.what.to_owned(), paint.dim(length.platform), range(length), source(&length.source)]
        })
        .collect();
    text.push_str(&columns(&rows, "  "));
}

/// `4m to 12m`.
pub(super) fn range(length: &Length) -> String {
    let (from, to) = (length.from.in_words(), length.to.in_words());
    if from == to { from } else { format!("{from} to {to}") }
}

/// How a length is known.
pub(super) fn source(source: &Source) -> String {
    match source {
        Source::Fleet => "as the fleet says".to_owned(),
        Source::Experience { action, times, runs } => format!(
            "from experience: {action} {} in {}",
            if *times == 1 { "1 time".to_owned() } else { format!("{} times", grouped(*times)) },
            count(number(u64::from(*runs)), "run")
        ),
        Source::Usual => "no history: as is usual".to_owned(),
    }
}

fn worst(text: &mut String, about: &About<'_>, tally: &Tally, paint: Paint) {
    if tally.worst.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.bold("the worst worlds"));
    let rows: Vec<Vec<String>> = tally
        .worst
        .iter()
        .map(|worst| {
            vec![
                format!("seed {}", worst.seed),
                paint.status(&worst.status),
                lasting(worst.makespan_s),
                format!("{} unwell, {} stuck", worst.unwell, worst.stuck),
                worst.cause.clone().unwrap_or_default(),
            ]
        })
        .collect();
    text.push_str(&columns(&rows, "  "));
    let _ = writeln!(text, "  see one: {}", about.command(tally.worst[0].seed));
}

/// Seconds, to their two largest units; before nothing with a sign.
pub(super) fn lasting(secs: i64) -> String {
    let words = length(secs.unsigned_abs());
    if secs < 0 { format!("{words} too late") } else { words }
}

fn plain(number: i64) -> String {
    grouped(number.unsigned_abs())
}

/// With commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share, to a tenth of a percent; what is little is not called nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    if part > 0 && percent < 0.1 { "<0.1 %".to_owned() } else { format!("{percent:.1} %") }
}

fn bar(part: u64, most: u64) -> String {
    let eighths = (part as f64 * (BAR * 8) as f64 / most.max(1) as f64).ceil() as usize;
    let mut text = "█".repeat(eighths / 8);
    if let Some(rest) = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8) {
        text.push_str(rest);
    }
    text
}

fn number(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{bar, grouped, lasting, share};

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(share(1, 10_000), "<0.1 %");
        assert_eq!(share(812, 1_000), "81.2 %");
        assert_eq!(lasting(-90), "1m 30s too late");
    }

    #[test]
    fn the_most_is_the_longest_bar_and_what_is_there_is_seen() {
        assert_eq!(bar(10, 10).chars().count(), 40);
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(1, 100_000), "▏");
    }
}
