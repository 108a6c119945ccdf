//! How commands stand, seen together.
//!
//! What became of machines is told by one listing for each command (`ListCommandInvocations`), and there may be hundreds
//! of commands. How far each is, on how many machines it has ended and how many went wrong, is counted by `ListCommands`
//! for fifty of them on a page (facts: Pages and batches; facts: Statuses of a command). So whoever watches
//! commands in one account and Region looks at these counts together, at the same ticks of the clock, and
//! lists the machines of a command only when there is something to be read.
//!
//! One command alone is not looked at so: its own listing says more, and costs the same.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex as StdMutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::target::Home;
use tokio::sync::Mutex;

use super::{
    errand::{later, since_then},
    gathering::at_most,
    patience::{passes, share},
};
use crate::{
    context::Context,
    ports::{
        fault::{Fault, FaultKind},
        ssm::{Progress, Ssm},
    },
};

/// How far our clock and the service's may be apart.
const SKEW: Duration = Duration::from_secs(60);

/// What a page of `ListCommands` holds (facts: Pages and batches).
const PAGE: usize = 50;

/// A command's machines are listed once in so much time, whatever the counts say: they are not promised to be right.
const ANYWAY: Duration = Duration::from_secs(15 * 60);

/// What has ended without trouble waits so long for the rest of its command, while nothing more ends.
const QUIET: Duration = Duration::from_secs(120);

/// It waits so long at most.
const LONGEST: Duration = Duration::from_secs(600);

/// The commands of an attempt that are being watched, by where their machines live.
#[derive(Clone, Debug, Default)]
pub(super) struct Overviews(Arc<StdMutex<BTreeMap<Home, Overview>>>);

impl Overviews {
    /// Those whose machines live there.
    pub fn of(&self, home: &Home) -> Overview {
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        homes.entry(home.clone()).or_default().clone()
    }
}

/// The commands that are being watched in one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Overview(Arc<Board>);

#[derive(Debug, Default)]
struct Board {
    watched: StdMutex<BTreeMap<String, Watched>>,
    seen: Mutex<Seen>,
    /// The service does not tell.
    lacking: AtomicBool,
}

impl Board {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    /// When it was sent, or a little before.
    at: Timestamp,
    /// When it is looked at next.
    next: Timestamp,
}

/// The last look.
#[derive(Debug, Default)]
struct Seen {
    /// The tick that it was made for, and the earliest command that it tells of.
    made: Option<(Timestamp, Timestamp)>,
    /// The tick whose question was not answered, and why not.
    unanswered: Option<(Timestamp, Fault)>,
    rows: BTreeMap<String, Option<Progress>>,
    /// How many commands of others were among them.
    foreign: usize,
}

/// What a look at the counts says of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing: its machines are to be listed.
    Untold,
    /// It goes on, and has come so far.
    Executing(Progress),
}

impl Overview {
    /// Watches a command that was sent at that time.
    pub fn watch(&self, ctx: &Context, command: &str, at: Timestamp) -> Watch {
        // Attempts do not all look at the same time.
        self.shifted(command, at, share(ctx.token("", "overview"), 0))
    }

    fn shifted(&self, command: &str, at: Timestamp, by: f64) -> Watch {
        let watched = Watched { at, next: Timestamp::MAX };
        self.0.watched().insert(command.to_owned(), watched);
        let phase = Duration::from_secs(5).mul_f64(by);
        Watch { board: Arc::clone(&self.0), command: command.to_owned(), at, next: at, phase, read: None }
    }
}

/// A command that is being watched.
#[derive(Debug)]
pub(super) struct Watch {
    board: Arc<Board>,
    command: String,
    at: Timestamp,
    next: Timestamp,
    phase: Duration,
    read: Option<Reading>,
}

/// What was known of a command when its machines were last listed, and what has been noticed since.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Timestamp,
    counts: Progress,
    noticed: Option<Noticed>,
}

/// Ends that nobody has read yet.
#[derive(Clone, Copy, Debug)]
struct Noticed {
    since: Timestamp,
    /// When there were more of them last.
    moved: Timestamp,
    completed: u32,
}

impl Watch {
    /// How long to wait until the next look: `alone` where no other command is watched, else until the next tick that is
    /// at least half of `every` away.
    pub fn pause(&mut self, now: Timestamp, every: Duration, alone: Duration) -> Duration {
        let mut watched = self.board.watched();
        let wait = if watched.len() <= 1 { alone } else { tick(now, every, self.phase) };
        self.next = later(now, wait);
        watched.insert(self.command.clone(), Watched { at: self.at, next: self.next });
        wait
    }

    /// How many commands are watched, where each must be looked at for itself.
    pub fn crowd(&self) -> u32 {
        let lacking = self.board.lacking.load(Ordering::Relaxed);
        if lacking { u32::try_from(self.board.watched().len()).unwrap_or(u32::MAX) } else { 0 }
    }

    /// How it stands. Whoever comes first at a tick asks for all whose turn it is.
    ///
    /// # Errors
    /// [`Fault`]: the question was not answered.
    pub async fn look(&self, ssm: &Arc<dyn Ssm>) -> Result<Stand, Fault> {
        if self.board.lacking.load(Ordering::Relaxed) {
            return Ok(Stand::Untold);
        }
        let mut seen = self.board.seen.lock().await;
        if let Some((_, fault)) = seen.unanswered.as_ref().filter(|(tick, _)| *tick >= self.next) {
            return Err(fault.clone());
        }
        let told = seen.made.is_some_and(|(tick, since)| tick >= self.next && since <= self.at);
        if !told {
            let (due, ours, since) = {
                let watched = self.board.watched();
                let due = || watched.values().filter(|one| one.next <= self.next).map(|one| one.at);
                let since = due().min().unwrap_or(self.at);
                (due().count(), watched.values().filter(|one| one.at >= since).count(), since)
            };
            // Counts that cost more pages than the commands have are not worth having.
            if due <= (ours + seen.foreign).div_ceil(PAGE) {
                return Ok(Stand::Untold);
            }
            let from = since.checked_sub(SKEW).unwrap_or(since);
            let rows = match ssm.executing(Some(from)).await {
                Ok(rows) => rows,
                // The others of this tick get the same word: who asks again and again helps nobody.
                Err(fault) if passes(fault.kind) || fault.kind == FaultKind::Credentials => {
                    seen.unanswered = Some((self.next, fault.clone()));
                    return Err(fault);
                }
                Err(fault) => {
                    tracing::warn!(%fault, "commands are listed one by one: how they stand together is not told");
                    self.board.lacking.store(true, Ordering::Relaxed);
                    return Ok(Stand::Untold);
                }
            };
            let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.command_id, row.progress)).collect();
            let watched = self.board.watched();
            let foreign = rows.keys().filter(|command| !watched.contains_key(*command)).count();
            *seen = Seen { made: Some((self.next, since)), unanswered: None, rows, foreign };
        }
        // One that is not there is over, or so new that it is not seen yet: its own listing tells.
        Ok(seen.rows.get(&self.command).copied().flatten().map_or(Stand::Untold, Stand::Executing))
    }

    /// Whether its machines are to be listed now: one went wrong, or all have ended, or what has ended has waited long
    /// enough for the others. The attempt is over at `deadline`.
    pub fn is_due(&mut self, counts: Progress, now: Timestamp, deadline: Timestamp) -> bool {
        let at = self.at;
        let read = self.read.get_or_insert(Reading { at, counts: Progress::default(), noticed: None });
        if counts.errors > read.counts.errors || counts.is_complete() || since_then(read.at, now) >= ANYWAY {
            return true;
        }
        if counts.completed <= read.counts.completed {
            return false;
        }
        let first = Noticed { since: now, moved: now, completed: counts.completed };
        let noticed = read.noticed.get_or_insert(first);
        if counts.completed > noticed.completed {
            (noticed.completed, noticed.moved) = (counts.completed, now);
        }
        let left = since_then(now, deadline);
        since_then(noticed.moved, now) >= at_most(QUIET, left)
            || since_then(noticed.since, now) >= at_most(LONGEST, left)
    }

    /// Its machines were listed, and so many of them have ended; `counts` is how it stood right before. A list may be
    /// behind the counts: what it did not show yet is still to be read.
    pub fn listed(&mut self, counts: Option<Progress>, ended: usize, now: Timestamp) {
        let known = self.read.map(|read| read.counts).unwrap_or_default();
        let shown = counts.filter(|counts| usize::try_from(counts.completed).is_ok_and(|all| ended >= all));
        self.read = Some(Reading { at: now, counts: shown.unwrap_or(known), noticed: None });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.board.watched().remove(&self.command);
    }
}

/// How long until the next tick that is at least half of `every` away. The ticks of longer times are among those of
/// shorter ones.
fn tick(now: Timestamp, every: Duration, phase: Duration) -> Duration {
    let nanos = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
    let (every, phase) = (nanos(every).max(1), nanos(phase));
    let earliest = now.as_nanosecond() + every / 2;
    let past = (earliest - phase).rem_euclid(every);
    let wait = every / 2 + if past == 0 { 0 } else { every - past };
    Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST, Overview, QUIET, tick};
    use crate::{actions::aws::errand::later, ports::ssm::Progress};
    use jiff::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// When the attempt is over.
    fn end() -> Timestamp {
        at(100_000)
    }

    fn counts(completed: u32, errors: u32) -> Progress {
        Progress { targets: 50, completed, errors }
    }

    #[test]
    fn ticks_are_the_same_for_all_and_at_least_half_a_step_away() {
        let (five, fifteen, phase) =
            (Duration::from_secs(5), Duration::from_secs(15), Duration::from_millis(1300));
        for second in 0..60 {
            let now = at(1_000_000 + second);
            for every in [five, fifteen] {
                let wait = tick(now, every, phase);
                assert!(wait >= every / 2 && wait <= every + every / 2, "{wait:?}");
                let then = later(now, wait).as_millisecond() - 1300;
                assert_eq!(then.rem_euclid(i64::try_from(every.as_millis()).expect("small")), 0);
            }
        }
    }

    #[test]
    fn machines_are_listed_when_one_failed_or_all_ended_or_the_rest_keeps_them_waiting() {
        let mut watch = Overview::default().shifted("c", at(0), 0.0);
        assert!(!watch.is_due(counts(0, 0), at(10), end()));
        assert!(watch.is_due(counts(1, 1), at(20), end()), "one failed");
        watch.listed(Some(counts(1, 1)), 0, at(20));
        assert!(watch.is_due(counts(1, 1), at(25), end()), "the list did not show it yet");
        watch.listed(Some(counts(1, 1)), 1, at(25));
        assert!(!watch.is_due(counts(1, 1), at(30), end()), "that is known");
        assert!(!watch.is_due(counts(2, 1), at(40), end()));
        assert!(!watch.is_due(counts(3, 1), later(at(39), QUIET), end()), "others follow");
        assert!(watch.is_due(counts(3, 1), later(later(at(39), QUIET), QUIET), end()), "no others follow");
        watch.listed(Some(counts(3, 1)), 3, at(300));
        let mut completed = 3;
        let listed = (300..2000).step_by(60).find(|second| {
            completed += 1;
            watch.is_due(counts(completed, 1), at(*second), end())
        });
        assert_eq!(listed, Some(300 + i64::try_from(LONGEST.as_secs()).expect("small")));
        watch.listed(Some(counts(completed, 1)), 50, at(2000));
        assert!(watch.is_due(counts(50, 1), at(2001), end()), "all ended");
        watch.listed(Some(counts(4, 1)), 4, at(90_000));
        assert!(!watch.is_due(counts(5, 1), at(90_100), at(90_200)));
        assert!(watch.is_due(counts(5, 1), at(90_110), at(90_200)), "the attempt is nearly over");
        watch.listed(None, 50, at(2100));
        assert!(!watch.is_due(counts(completed, 1), at(2200), end()));
        assert!(watch.is_due(counts(completed, 1), at(3000), end()), "counts may be wrong");
    }
}
