//! Calls that are held before their effect or after it, so that a test can end their client exactly there.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Where a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Its effect has not taken place.
    Before,
    /// Its effect has taken place, and nobody was told.
    After,
}

/// A call that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Its number in the call log.
    pub n: u64,
    /// `ssm:SendCommand`.
    pub operation: String,
}

/// The calls that are to be held, and those that are.
#[derive(Debug, Default)]
pub struct Holds {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many calls are still let through, and where the next one is held.
    planned: Vec<(u64, When)>,
    held: Vec<(Held, Arc<Notify>)>,
}

impl Holds {
    /// The `call`-th call from now on (1: the next) is held.
    pub fn plan(&self, call: u64, when: When) {
        self.lock().planned.push((call.max(1), when));
    }

    /// A call comes: where it is to be held.
    pub fn arrive(&self) -> Option<When> {
        let mut inner = self.lock();
        for (left, _) in &mut inner.planned {
            *left -= 1;
        }
        let place = inner.planned.iter().position(|(left, _)| *left == 0)?;
        let (_, when) = inner.planned.remove(place);
        inner.planned.retain(|(left, _)| *left > 0);
        Some(when)
    }

    /// Holds a call until it is released. Dropped with the call when its client goes away.
    pub async fn stand(&self, n: u64, operation: &str) {
        let release = Arc::new(Notify::new());
        self.lock().held.push((Held { n, operation: operation.to_owned() }, Arc::clone(&release)));
        self.changed.notify_waiters();
        let _gone = Gone { holds: self, n };
        release.notified().await;
    }

    /// The call that is held, waited for up to this long.
    pub async fn held(&self, up_to: Duration) -> Option<Held> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some((held, _)) = self.lock().held.first() {
                    return held.clone();
                }
                changed.await;
            }
        };
        tokio::time::timeout(up_to, wait).await.ok()
    }

    /// Lets every held call go on, and forgets what was planned. How many there were.
    pub fn release(&self) -> usize {
        let mut inner = self.lock();
        inner.planned.clear();
        for (_, release) in &inner.held {
            // A permit is kept for one that has not begun to wait.
            release.notify_one();
        }
        inner.held.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a call off the list, whether it was released or its client went away.
struct Gone<'a> {
    holds: &'a Holds,
    n: u64,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.holds.lock().held.retain(|(held, _)| held.n != self.n);
    }
}
