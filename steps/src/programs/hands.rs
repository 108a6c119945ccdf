//! Where programs are started: on threads for work that waits for the drive, few at a time.

use std::{sync::Arc, thread};

use tokio::sync::Semaphore;

use super::trouble::Trouble;

/// Each holds up to ten descriptors while it starts a program: four of them leave room under a limit of 64.
const AT_A_TIME: usize = 4;

/// How many may work at a time. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Hands(Arc<Semaphore>);

impl Default for Hands {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl Hands {
    /// Does it on another thread; on a machine that gives us none, here and now.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        // It is never closed.
        let _permit = self.0.acquire().await;
        // The runtime panics where it gets no thread, so that is tried first.
        if thread::Builder::new().spawn(|| ()).is_err() {
            return work();
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(Trouble::of(format!("this process is stopping ({error})"))),
        }
    }
}
