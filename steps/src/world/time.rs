//! The world's time: it jumps to the next event, or goes a number of times faster than ours.
//!
//! In a world that jumps, time is tokio's own clock, which the runtime must have paused ([`runtime`]): when nothing
//! can be done, tokio moves it to the next timer at once. It does so only when the runtime is idle, and holds it
//! still while a `spawn_blocking` closure runs, so blocking writes of a journal cost none of the world's time. Work
//! on a plain thread, and bytes that have not arrived at a socket yet, do not hold it.

use std::{io, sync::Mutex, time::Duration};

use jiff::Timestamp;
use tokio::{runtime, time::Instant};

/// The moment this much later; the end of time where there is none.
pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A runtime for a world that jumps: one thread, all drivers, its clock paused.
///
/// # Errors
/// The operating system gives no event queue.
pub fn runtime() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().start_paused(true).build()
}

/// Where the world stands.
#[derive(Debug)]
pub(super) struct WorldTime {
    /// World seconds per real second; absent: it jumps.
    speed: Option<u32>,
    anchor: Mutex<Anchor>,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// The world's time …
    base: Timestamp,
    /// … at this moment of the runtime. Absent: the world stands still, no runner has asked yet.
    since: Option<Instant>,
}

impl WorldTime {
    pub fn new(base: Timestamp, speed: Option<u32>) -> Self {
        Self { speed, anchor: Mutex::new(Anchor { base, since: None }) }
    }

    /// Now. Outside a runtime the world stands still.
    pub fn now(&self) -> Timestamp {
        let mut anchor = self.anchor.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match anchor.since {
            Some(since) => read(anchor.base, self.speed, since.elapsed()),
            None => {
                if runtime::Handle::try_current().is_ok() {
                    anchor.since = Some(Instant::now());
                }
                anchor.base
            }
        }
    }

    /// Moves the world forward to this time, if it stands before it.
    pub fn advance_to(&self, at: Timestamp) {
        let now = self.now();
        if at > now {
            let mut anchor = self.anchor.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *anchor = Anchor { base: at, since: anchor.since.map(|_| Instant::now()) };
        }
    }

    /// Stands still until somebody asks again, perhaps in another runtime.
    pub fn rest(&self) {
        let base = self.now();
        *self.anchor.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Anchor { base, since: None };
    }

    /// Returns when so much of the world's time has passed.
    pub async fn sleep(&self, time: Duration) {
        self.now();
        let real = match self.speed {
            // A world that stands still is waited in as long as ours takes.
            Some(speed) if !time.is_zero() && speed > 0 => (time / speed).max(Duration::from_millis(1)),
            _ => time,
        };
        tokio::time::sleep(real).await;
    }
}

fn read(base: Timestamp, speed: Option<u32>, passed: Duration) -> Timestamp {
    // Milliseconds are what tokio's timers know.
    let passed = passed.as_millis().min(u128::from(u64::MAX)) as u64;
    later(base, Duration::from_millis(passed.saturating_mul(u64::from(speed.unwrap_or(1)))))
}
