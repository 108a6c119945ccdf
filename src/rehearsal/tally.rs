//! What came of many worlds, added up.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::TargetId,
    laws::{Law, Violation},
    outcome::TargetOutcome,
};

use super::{Rehearsed, Spread};

/// How many of the worst worlds are remembered.
const MOST_WORST: usize = 10;

/// How many violations are told one by one.
const MOST_VIOLATIONS: usize = 1_000;

/// A world that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worst {
    /// Its seed.
    pub seed: u64,
    /// The run's status word.
    pub status: String,
    /// One cause.
    pub cause: Option<String>,
    /// Machines that did not come out well.
    pub unwell: u64,
    /// Machines that a person must look at.
    pub stuck: u64,
    /// Seconds from its first entry to its last.
    pub makespan_s: i64,
}

/// What came of many worlds.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many.
    pub worlds: u64,
    /// By status word.
    pub statuses: BTreeMap<String, u64>,
    /// Machines, by outcome, over all worlds.
    pub machines: BTreeMap<TargetOutcome, u64>,
    /// Causes, with how many worlds ended for each and the first seed.
    pub causes: BTreeMap<String, (u64, u64)>,
    /// Seconds from first entry to last.
    pub makespan_s: Spread,
    /// Seconds between the last change behind a window and its end, where there is a window.
    pub margin_s: Spread,
    /// Machines touched in each world.
    pub touched: Spread,
    /// Machines restored in each world.
    pub restored: Spread,
    /// Machines that a person must look at in each world.
    pub stuck: Spread,
    /// Which, over all worlds.
    pub stuck_machines: BTreeMap<TargetId, u64>,
    /// Calls in each world.
    pub calls: Spread,
    /// Entries in each journal.
    pub entries: Spread,
    /// Bytes of each journal.
    pub bytes: Spread,
    /// The kinds of faults, with how many worlds had them.
    pub drawn: BTreeMap<String, u64>,
    /// Deaths of the runner, over all worlds.
    pub crashes: u64,
    /// The worlds that ended worst, worst first.
    pub worst: Vec<Worst>,
    /// How often each law was broken.
    pub laws: BTreeMap<Law, u64>,
    /// The laws that were broken, with the seed; those of the smallest seeds.
    pub violations: Vec<(u64, Violation)>,
    /// How many there were.
    pub broken: u64,
}

impl Tally {
    /// One more world.
    pub fn add(&mut self, world: &Rehearsed) {
        self.worlds += 1;
        *self.statuses.entry(world.ended.status.clone()).or_default() += 1;
        let mut restored = 0;
        let mut unwell = 0;
        for (outcome, count) in &world.outcomes {
            *self.machines.entry(*outcome).or_default() += count;
            match outcome {
                TargetOutcome::Succeeded | TargetOutcome::Excluded | TargetOutcome::NotStarted => {}
                TargetOutcome::Restored => {
                    restored += count;
                    unwell += count;
                }
                _ => unwell += count,
            }
        }
        if let Some(cause) = &world.ended.cause {
            let known = self.causes.entry(plain(cause)).or_insert((0, world.seed));
            *known = (known.0 + 1, known.1.min(world.seed));
        }
        self.makespan_s.add(world.makespan.as_secs());
        if let Some(margin) = world.margin {
            self.margin_s.add(margin.left_s());
        }
        self.touched.add(signed(world.touched));
        self.restored.add(signed(restored));
        self.stuck.add(signed(world.stuck.len() as u64));
        for machine in &world.stuck {
            *self.stuck_machines.entry(machine.clone()).or_default() += 1;
        }
        self.calls.add(signed(world.calls + world.reads));
        self.entries.add(signed(world.entries));
        self.bytes.add(signed(world.bytes));
        for kind in &world.drawn {
            *self.drawn.entry(kind.clone()).or_default() += 1;
        }
        self.crashes += world.deaths();
        self.broken += world.violations.len() as u64;
        for violation in &world.violations {
            *self.laws.entry(violation.law).or_default() += 1;
        }
        let told = world.violations.iter().take(MOST_VIOLATIONS);
        self.violations.extend(told.map(|violation| (world.seed, violation.clone())));
        if self.violations.len() > 2 * MOST_VIOLATIONS {
            self.settle();
        }
        self.remember(world, unwell);
    }

    /// In the order of their seeds, whatever the order in which they came.
    pub fn settle(&mut self) {
        self.violations.sort_by_key(|(seed, _)| *seed);
        self.violations.truncate(MOST_VIOLATIONS);
    }

    fn remember(&mut self, world: &Rehearsed, unwell: u64) {
        if world.ended.status == "succeeded" && unwell == 0 {
            return;
        }
        self.worst.push(Worst {
            seed: world.seed,
            status: world.ended.status.clone(),
            cause: world.ended.cause.clone(),
            unwell,
            stuck: world.stuck.len() as u64,
            makespan_s: world.makespan.as_secs(),
        });
        self.worst.sort_by_key(|worst| {
            (std::cmp::Reverse((rank(&worst.status), worst.stuck, worst.unwell)), worst.seed)
        });
        self.worst.truncate(MOST_WORST);
    }
}

/// How bad an end is.
fn rank(status: &str) -> u8 {
    match status {
        "broken" => 6,
        "stuck" => 5,
        "failed" => 4,
        "restored" => 3,
        "paused" => 2,
        "cancelled" => 1,
        _ => 0,
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A cause without what differs from world to world: numbers, addresses and ids; several in a row are told as one.
fn plain(cause: &str) -> String {
    let mut plain: Vec<String> = Vec::new();
    for word in cause.split(' ') {
        let id = ["i-", "snap-", "vol-"].iter().any(|kind| word.starts_with(kind));
        let number = word.chars().any(|c| c.is_ascii_digit()) && !word.chars().any(char::is_alphabetic);
        let shown = if id || number { "…".to_owned() } else { without_address(word) };
        if shown != "…" || plain.last().is_none_or(|last| last != "…") {
            plain.push(shown);
        }
    }
    plain.join(" ")
}

/// A word without the IPv4 address in it.
fn without_address(word: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let address = word.split(|c| !is_part(c)).find(|part| part.parse::<std::net::Ipv4Addr>().is_ok());
    address.map_or_else(|| word.to_owned(), |address| word.replacen(address, "…", 1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use runbook_engine::laws::{Law, Violation};

    use super::{Rehearsed, Tally, plain};

    #[test]
    fn what_is_told_of_broken_laws_does_not_depend_on_the_order_of_worlds() {
        let tally = |seeds: &mut dyn Iterator<Item = u64>| {
            let mut tally = Tally::default();
            for seed in seeds {
                let mut world = Rehearsed::broken_off(seed, None, Vec::new());
                world.violations = vec![Violation::of(Law::Budget, "one too many"); 2];
                tally.add(&world);
            }
            tally.settle();
            tally
        };
        let (one, other) = (tally(&mut (0..3_000)), tally(&mut (0..3_000).rev()));
        assert_eq!(one.violations, other.violations);
        assert_eq!((one.violations.len(), one.violations.last().map(|told| told.0)), (1_000, Some(499)));
        assert_eq!((one.laws[&Law::Budget], one.broken), (6_000, 6_000));
    }

    #[test]
    fn a_pause_is_no_death() {
        let lives = Rehearsed {
            lives: 4,
            unpaused: BTreeSet::from([2, 4]),
            ..Rehearsed::broken_off(1, None, Vec::new())
        };
        assert_eq!(lives.deaths(), 1);
    }

    #[test]
    fn causes_are_alike_that_differ_in_numbers_only() {
        assert_eq!(
            plain("2 of 60 machines failed in production, 1 may"),
            "… of … machines failed in production, … may"
        );
        assert_eq!(plain("patch failed on i-0abc"), "patch failed on …");
        assert_eq!(plain("the gate expired"), "the gate expired");
        assert_eq!(plain("not over by 2026-12-07 15:04 UTC"), "not over by … UTC");
        assert_eq!(plain("http://10.64.0.1:8080/healthz answered 503"), "http://…:8080/healthz answered …");
    }
}
