//! How often a person told this process to stop.

use std::{
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// How often a person told this process to stop.
#[derive(Clone, Debug)]
pub struct Interrupts {
    times: watch::Receiver<u32>,
}

impl Interrupts {
    /// Counted by whoever holds the other end.
    pub fn counted(times: watch::Receiver<u32>) -> Self {
        Self { times }
    }

    /// Nobody ever does.
    pub fn never() -> Self {
        let (_, times) = watch::channel(0);
        Self { times }
    }

    /// Completes at the next interruption, with their number so far.
    pub(super) async fn next(&mut self) -> u32 {
        match self.times.changed().await {
            Ok(()) => *self.times.borrow_and_update(),
            Err(_) => std::future::pending().await,
        }
    }
}

/// The signal of a file that may not grow any more. Left alone it would end the process in the middle of a batch; with a
/// handler the write fails, and is told as a full drive. Its number on Linux, but for MIPS.
const FILE_TOO_LARGE: i32 = 25;

/// Counts SIGINT and SIGTERM, and outlives SIGHUP: a terminal that is gone takes its output with it, not the run. A file
/// that may not grow (`ulimit -f`) is an error of whoever writes it, too.
///
/// # Errors
/// The operating system refuses a handler.
pub fn listen() -> std::io::Result<Interrupts> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut too_large = signal(SignalKind::from_raw(FILE_TOO_LARGE))?;
    let (times, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => continue,
                _ = too_large.recv() => continue,
            }
            times.send_modify(|times| *times += 1);
        }
    });
    Ok(Interrupts::counted(counted))
}

/// An interruption of a process that only watches.
pub(crate) struct Interrupted {
    came: Arc<AtomicBool>,
}

impl Interrupted {
    /// Whether it came.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::Acquire)
    }
}

/// Ends a conversation at the first SIGINT or SIGTERM, so that whoever reads from it goes on.
pub(crate) fn shut_on_interrupt(stream: UnixStream) -> std::io::Result<Interrupted> {
    let came = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&came);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        flag.store(true, Ordering::Release);
        // A conversation that is over already needs no end.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    })?;
    Ok(Interrupted { came })
}
