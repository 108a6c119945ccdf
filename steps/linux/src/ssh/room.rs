//! Room for so many connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Places for connections.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// Who waits for a place.
    waiting: AtomicUsize,
    /// Connections that were told to end, and whose processes are not gone yet.
    ending: AtomicUsize,
    freed: Notify,
}

/// A place: taken until the process of its connection is gone.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    permit: Option<OwnedSemaphorePermit>,
    ends: bool,
}

impl Room {
    pub fn new(most: usize) -> Self {
        let places = Arc::new(Semaphore::new(most.max(1)));
        Self { places, waiting: AtomicUsize::new(0), ending: AtomicUsize::new(0), freed: Notify::new() }
    }

    /// A place for one more connection. Where all are taken, `close_one` tells an idle one to end, once for each who
    /// waits and that was not told yet; where all are in use, this waits.
    pub async fn place(self: &Arc<Self>, close_one: impl Fn()) -> Place {
        let _waits = Waits::new(&self.waiting);
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
                return Place { room: Arc::clone(self), permit: Some(permit), ends: false };
            }
            if self.ending.load(Ordering::SeqCst) < self.waiting.load(Ordering::SeqCst) {
                close_one();
            }
            freed.await;
        }
    }

    /// Those who wait for a place look again: a connection may be idle now.
    pub fn look_again(&self) {
        self.freed.notify_waiters();
    }
}

impl Place {
    /// Its connection was told to end.
    pub fn ends(&mut self) {
        if !self.ends {
            self.ends = true;
            self.room.ending.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.permit.take());
        if self.ends {
            self.room.ending.fetch_sub(1, Ordering::SeqCst);
        }
        self.room.look_again();
    }
}

/// One who waits, until it has a place or is given up.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
