//! One token bucket, which learns: a throttled answer halves its rate, quiet time brings it back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::rate::{Family, Rate};

/// A rate that was lowered is back at its full height after this time without a throttled answer.
const RECOVERY: Duration = Duration::from_secs(60);

/// Throttled answers of calls that were on their way together count once.
const TOGETHER: Duration = Duration::from_secs(1);

/// The rate never falls below this share of the full one: somebody must find out that it is quiet again.
const LEAST: f64 = 1.0 / 20.0;

/// The buckets of this process: all tasks of all runs share them.
#[derive(Debug, Default)]
pub(crate) struct Buckets(Mutex<BTreeMap<(String, String, Family), Arc<Bucket>>>);

impl Buckets {
    /// The bucket of a family in an account and Region.
    pub fn of(&self, account: &str, region: &str, family: Family) -> Arc<Bucket> {
        let key = (account.to_owned(), region.to_owned(), family);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(buckets.entry(key).or_insert_with(|| Arc::new(Bucket::new(family.rate()))))
    }
}

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: Rate,
    /// Held by whoever waits at the head of the line: first come, first served.
    line: tokio::sync::Mutex<()>,
    level: Mutex<Level>,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Tokens a second, now.
    rate: f64,
    tokens: f64,
    /// When the two above were true.
    at: Instant,
    lowered_at: Option<Instant>,
    /// The service asked to be left alone until then.
    quiet_until: Option<Instant>,
}

impl Bucket {
    pub fn new(limit: Rate) -> Self {
        let now = Instant::now();
        let level = Level {
            rate: limit.per_second,
            tokens: limit.burst,
            at: now,
            lowered_at: None,
            quiet_until: None,
        };
        Self { limit, line: tokio::sync::Mutex::new(()), level: Mutex::new(level) }
    }

    /// Returns when it is our turn to take so many tokens; more than the bucket holds count as all that it holds.
    pub async fn take(&self, tokens: f64) {
        let _head = self.line.lock().await;
        while let Some(wait) = self.try_take(tokens) {
            sleep(wait).await;
        }
    }

    /// A call was throttled; the service may have said how long it wants to be left alone.
    pub fn throttled(&self, wait: Option<Duration>) {
        let now = Instant::now();
        let mut level = self.level();
        self.fill(&mut level, now);
        level.tokens = 0.0;
        if level.lowered_at.is_none_or(|at| now.saturating_duration_since(at) >= TOGETHER) {
            level.rate = (level.rate / 2.0).max(self.limit.per_second * LEAST);
            level.lowered_at = Some(now);
        }
        if let Some(wait) = wait {
            level.quiet_until = level.quiet_until.max(Some(now + wait));
        }
    }

    /// How long to wait before asking again; `None`: they are taken.
    fn try_take(&self, tokens: f64) -> Option<Duration> {
        let now = Instant::now();
        let mut level = self.level();
        self.fill(&mut level, now);
        if let Some(until) = level.quiet_until.filter(|until| *until > now) {
            return Some(until - now);
        }
        let tokens = tokens.min(self.room(&level));
        if level.tokens >= tokens {
            level.tokens -= tokens;
            return None;
        }
        // A millisecond is what timers know; less would make a busy loop.
        let wait = (tokens - level.tokens) / level.rate;
        Some(Duration::from_secs_f64(wait).max(Duration::from_millis(1)))
    }

    fn fill(&self, level: &mut Level, now: Instant) {
        let passed = now.saturating_duration_since(level.at).as_secs_f64();
        level.at = now;
        let full = self.limit.per_second;
        level.rate = (level.rate + full * passed / RECOVERY.as_secs_f64()).min(full);
        level.tokens = (level.tokens + level.rate * passed).min(self.room(level));
    }

    /// While the rate is lowered nothing is saved up: a burst would be throttled again.
    fn room(&self, level: &Level) -> f64 {
        if level.rate < self.limit.per_second { self.limit.burst.min(1.0) } else { self.limit.burst }
    }

    fn level(&self) -> MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::{
        task::JoinSet,
        time::{Instant, sleep},
    };

    use super::{Bucket, Buckets};
    use crate::rate::{Family, Rate};

    const FIVE: Rate = Rate { per_second: 5.0, burst: 10.0 };

    async fn taken_in(bucket: &Bucket, tokens: u32) -> f64 {
        let from = Instant::now();
        for _ in 0..tokens {
            bucket.take(1.0).await;
        }
        from.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let bucket = Bucket::new(FIVE);
        assert!(taken_in(&bucket, 10).await < 0.01);
        let took = taken_in(&bucket, 50).await;
        assert!((9.9..10.3).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn many_tasks_share_it_and_more_tokens_than_it_holds_are_all_that_it_holds() {
        let bucket = Arc::new(Bucket::new(FIVE));
        let from = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..60 {
            let bucket = Arc::clone(&bucket);
            tasks.spawn(async move { bucket.take(1.0).await });
        }
        tasks.join_all().await;
        assert!((9.9..10.3).contains(&from.elapsed().as_secs_f64()), "{:?}", from.elapsed());
        bucket.take(1000.0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_answer_halves_the_rate_once_and_quiet_time_restores_it() {
        let bucket = Bucket::new(FIVE);
        for _ in 0..20 {
            bucket.throttled(None);
        }
        let slowed = taken_in(&bucket, 5).await;
        assert!((1.5..2.1).contains(&slowed), "half of five a second, rising: {slowed}");
        sleep(Duration::from_secs(61)).await;
        assert!(taken_in(&bucket, 10).await < 0.01, "the burst is back");
    }

    #[tokio::test(start_paused = true)]
    async fn the_service_is_left_alone_for_as_long_as_it_asks() {
        let bucket = Bucket::new(FIVE);
        bucket.throttled(Some(Duration::from_secs(30)));
        assert!(taken_in(&bucket, 1).await >= 30.0);
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_all_calls_throttled_makes_no_storm() {
        let bucket = Bucket::new(FIVE);
        let from = Instant::now();
        let mut calls = 0_u32;
        while from.elapsed() < Duration::from_secs(300) {
            bucket.take(1.0).await;
            calls += 1;
            if calls.is_multiple_of(2) {
                bucket.throttled(None);
            }
        }
        assert!((60..=450).contains(&calls), "{calls} calls in 300 s");
    }

    #[test]
    fn each_account_region_and_family_has_its_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let buckets = Buckets::default();
            let one = buckets.of("111111111111", "eu-central-1", Family::RunCommand);
            assert!(Arc::ptr_eq(&one, &buckets.of("111111111111", "eu-central-1", Family::RunCommand)));
            for other in [
                buckets.of("222222222222", "eu-central-1", Family::RunCommand),
                buckets.of("111111111111", "eu-west-1", Family::RunCommand),
                buckets.of("111111111111", "eu-central-1", Family::SsmReading),
            ] {
                assert!(!Arc::ptr_eq(&one, &other));
            }
        });
    }
}
