//! The time of a world that jumps: tokio's own, paused.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_steps::ports::clock::Clock;
use tokio::time::Instant;

/// Time that stands still until everybody sleeps, and then jumps. It begins on 2026-11-22 at midnight.
#[derive(Clone, Copy, Debug)]
pub struct Jumping {
    began: Instant,
}

impl Jumping {
    /// From now on; the runtime must be paused.
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// How long it has been.
    pub fn passed(&self) -> Duration {
        self.began.elapsed()
    }
}

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let midnight: Timestamp = "2026-11-22T00:00:00Z".parse().expect("a time");
        midnight.checked_add(self.passed()).expect("a time that can be said")
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
