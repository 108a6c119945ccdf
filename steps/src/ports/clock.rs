//! Time.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

/// Time, as the world has it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Returns when this much of the world's time has passed.
    async fn sleep(&self, time: Duration);
    /// A journal that goes on ended at this time: it is now, or later.
    fn not_before(&self, _at: Timestamp) {}
    /// By how much this time is ahead of what the machine's clock says, because that was set back.
    fn ahead(&self) -> SignedDuration {
        SignedDuration::ZERO
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// The machine's own clock, but for one thing: when it is set back, time goes on from where it was, as fast as it really
/// passes. A wait of five minutes takes five minutes, and nothing in a journal happens before what caused it. When the
/// clock is set forward, or the machine was asleep, time follows.
#[derive(Debug)]
pub struct SteadyClock(Mutex<Known>);

/// A time, and the moment at which it was.
#[derive(Clone, Copy, Debug)]
struct Known {
    time: Timestamp,
    at: Instant,
}

impl SteadyClock {
    /// Starts with what the clock says.
    pub fn new() -> Self {
        Self(Mutex::new(Known { time: Timestamp::now(), at: Instant::now() }))
    }

    /// The time at a moment at which the machine's clock says `told`.
    fn read(&self, told: Timestamp, at: Instant) -> Timestamp {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed =
            known.time.saturating_add(at.saturating_duration_since(known.at)).unwrap_or(Timestamp::MAX);
        let time = told.max(passed);
        *known = Known { time, at };
        time
    }
}

impl Default for SteadyClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.read(Timestamp::now(), Instant::now())
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn not_before(&self, at: Timestamp) {
        self.read(at, Instant::now());
    }

    fn ahead(&self) -> SignedDuration {
        let told = Timestamp::now();
        self.read(told, Instant::now()).duration_since(told)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, SignedDuration, SteadyClock, Timestamp};

    #[test]
    fn a_clock_that_is_set_back_does_not_hold_time_up_and_one_that_is_set_forward_takes_it_along() {
        let clock = SteadyClock::new();
        let (begun, at) = (Timestamp::now(), Instant::now());
        let later = |seconds: i64| begun + SignedDuration::from_secs(seconds);
        let moment = |seconds| at + Duration::from_secs(seconds);
        assert_eq!(clock.read(later(10), moment(10)), later(10));
        // Set back by an hour; five seconds later, five seconds have passed.
        assert_eq!(clock.read(later(10 - 3_600), moment(10)), later(10));
        assert_eq!(clock.read(later(15 - 3_600), moment(15)), later(15));
        // Set right again, and then forward by a day.
        assert_eq!(clock.read(later(20), moment(20)), later(20));
        assert_eq!(clock.read(later(86_421), moment(21)), later(86_421));
    }
}
