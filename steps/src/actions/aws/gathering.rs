//! Machines that wait for others to share a command with: one for each would be thousands.

use std::time::Duration;

use jiff::Timestamp;

use super::errand::{MOST, since_then};

/// Timers and clocks may differ by as much.
const SLACK: Duration = Duration::from_millis(100);

/// What waits.
#[derive(Clone, Debug)]
pub(super) struct Gathering<T> {
    waiting: Vec<T>,
    /// How long at most.
    longest: Duration,
    /// Since when the first waits, once somebody is to be reminded of it.
    since: Option<Timestamp>,
}

impl<T> Gathering<T> {
    /// Nothing yet; what comes waits so long at most.
    pub fn new(longest: Duration) -> Self {
        Self { waiting: Vec::new(), longest, since: None }
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
        let over = self.since.is_some_and(|since| since_then(since, now) + SLACK >= self.longest);
        let count = self.waiting.len();
        let some = if last || over { count } else { count - count % MOST };
        if some == count {
            self.since = None;
        }
        self.waiting.drain(..some).collect()
    }

    /// After what time to take again, where nobody was told yet.
    pub fn remind(&mut self, now: Timestamp) -> Option<Duration> {
        if self.waiting.is_empty() || self.since.is_some() {
            return None;
        }
        self.since = Some(now);
        Some(self.longest)
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
    fn full_commands_go_at_once_and_the_rest_when_it_is_the_last_or_has_waited_long_enough() {
        let mut gathering = Gathering::new(Duration::from_secs(45));
        (0..120).for_each(|one| gathering.push(one));
        assert_eq!(gathering.take(false, at(0)).len(), 100);
        assert_eq!(gathering.remind(at(0)), Some(Duration::from_secs(45)));
        gathering.push(120);
        assert_eq!(gathering.remind(at(20)), None, "somebody is reminded already");
        assert_eq!(gathering.take(false, at(44)).len(), 0);
        assert_eq!(gathering.take(false, at(45)).len(), 21);
        gathering.push(121);
        assert_eq!(gathering.take(false, at(45)).len(), 0, "a new one waits anew");
        assert_eq!(gathering.take(true, at(45)), [121]);
        assert_eq!(gathering.remind(at(50)), None);
    }
}
