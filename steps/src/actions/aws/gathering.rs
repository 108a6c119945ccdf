//! Machines that wait for others to share a command with: one for each would be thousands.

use std::time::Duration;

use jiff::Timestamp;

use super::errand::{MOST, later, since_then};

/// Timers and clocks may differ by as much.
const SLACK: Duration = Duration::from_millis(100);

/// What waits.
#[derive(Clone, Debug)]
pub(super) struct Gathering<T> {
    waiting: Vec<T>,
    /// How long at most.
    longest: Duration,
    /// Until when, once somebody is to be reminded of it.
    until: Option<Timestamp>,
}

/// Waiting for others takes this part, at most, of the time that is left: what is to be done afterwards takes some too, and
/// one machine that hangs must not cost the others theirs.
const PART_OF_THE_REST: u32 = 10;

/// How long to wait for others at most, where there is so much time until the attempt is over.
pub(super) fn at_most(longest: Duration, left: Duration) -> Duration {
    longest.min(left / PART_OF_THE_REST)
}

impl<T> Gathering<T> {
    /// Nothing yet; what comes waits so long at most.
    pub fn new(longest: Duration) -> Self {
        Self { waiting: Vec::new(), longest, until: None }
    }

    pub fn push(&mut self, one: T) {
        self.waiting.push(one);
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes what fills commands; all of it when these are the `last`, or have waited long enough.
    pub fn take(&mut self, last: bool, now: Timestamp) -> Vec<T> {
        let over = self.until.is_some_and(|until| since_then(now, until) <= SLACK);
        let count = self.waiting.len();
        let some = if last || over { count } else { count - count % MOST };
        if some == count {
            self.until = None;
        }
        self.waiting.drain(..some).collect()
    }

    /// After what time to take again, where nobody was told yet; the attempt is over at `deadline`.
    pub fn remind(&mut self, now: Timestamp, deadline: Timestamp) -> Option<Duration> {
        if self.waiting.is_empty() || self.until.is_some() {
            return None;
        }
        let wait = at_most(self.longest, since_then(now, deadline));
        self.until = Some(later(now, wait));
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Gathering;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn nobody_waits_for_others_until_its_own_time_is_over() {
        let mut gathering = Gathering::new(Duration::from_secs(600));
        gathering.push("installed");
        assert_eq!(gathering.remind(at(1260), at(1800)), Some(Duration::from_secs(54)));
        assert_eq!(gathering.take(false, at(1313)).len(), 0);
        assert_eq!(gathering.take(false, at(1314)), ["installed"]);
        gathering.push("late");
        assert_eq!(gathering.remind(at(1900), at(1800)), Some(Duration::ZERO));
        assert_eq!(gathering.take(false, at(1900)), ["late"]);
    }

    #[test]
    fn full_commands_go_at_once_and_the_rest_when_it_is_the_last_or_has_waited_long_enough() {
        let mut gathering = Gathering::new(Duration::from_secs(45));
        (0..120).for_each(|one| gathering.push(one));
        assert_eq!(gathering.take(false, at(0)).len(), 100);
        assert_eq!(gathering.remind(at(0), at(7200)), Some(Duration::from_secs(45)));
        gathering.push(120);
        assert_eq!(gathering.remind(at(20), at(7200)), None, "somebody is reminded already");
        assert_eq!(gathering.take(false, at(44)).len(), 0);
        assert_eq!(gathering.take(false, at(45)).len(), 21);
        gathering.push(121);
        assert_eq!(gathering.take(false, at(45)).len(), 0, "a new one waits anew");
        assert_eq!(gathering.take(true, at(45)), [121]);
        assert_eq!(gathering.remind(at(50), at(7200)), None);
    }
}
