//! The time of a simulated world that another process keeps, on this runtime's paused clock.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::time::WorldTime;
use crate::ports::clock::Clock;

/// The time of a world that another process keeps. It jumps, on a runtime of [`runtime`](super::runtime), and never
/// stands before what that process says. While somebody waits for that process ([`RemoteTime::hold`]), it stands still.
#[derive(Debug)]
pub struct RemoteTime {
    time: WorldTime,
    holders: Mutex<Holders>,
}

#[derive(Debug, Default)]
struct Holders {
    count: usize,
    /// What keeps the clock still for as long as it is there.
    parked: Option<mpsc::Sender<()>>,
}

impl RemoteTime {
    /// It begins with what that process says.
    pub fn new(base: Timestamp) -> Arc<Self> {
        Arc::new(Self { time: WorldTime::new(base, None), holders: Mutex::default() })
    }

    /// The time to tell with a request.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// That process said what time it is: it is not earlier here.
    pub fn not_before(&self, at: Timestamp) {
        self.time.advance_to(at);
    }

    /// Holds the time still until the guard is dropped. Call it within the runtime.
    ///
    /// Tokio does not move a paused clock by itself while a `spawn_blocking` closure runs: that is what its
    /// documentation of `tokio::time::pause` offers for waiting on input and output, and so a closure waits here for
    /// the last guard's end. Bytes on their way to a socket would not hold it.
    pub fn hold(self: &Arc<Self>) -> Held {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.count += 1;
        if holders.count == 1 {
            let (parked, ended) = mpsc::channel::<()>();
            holders.parked = Some(parked);
            drop(tokio::task::spawn_blocking(move || ended.recv().is_err()));
        }
        Held(Arc::clone(self))
    }
}

/// The time stands still for as long as this is there.
#[derive(Debug)]
pub struct Held(Arc<RemoteTime>);

impl Drop for Held {
    fn drop(&mut self) {
        let mut holders = self.0.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.count -= 1;
        if holders.count == 0 {
            holders.parked = None;
        }
    }
}

#[async_trait]
impl Clock for RemoteTime {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    async fn sleep(&self, time: Duration) {
        self.time.sleep(time).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        time::Duration,
    };

    use jiff::Timestamp;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::sleep,
    };

    use super::RemoteTime;
    use crate::{ports::clock::Clock, world::runtime};

    /// A server on a thread of its own, which answers when it is told to.
    fn server() -> (std::net::SocketAddr, std::sync::mpsc::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (release, released) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            released.recv().expect("it is told to");
            stream.write_all(b"!").expect("an answer");
        });
        (address, release)
    }

    #[test]
    fn the_clock_stands_still_while_an_answer_is_on_its_way_and_jumps_again_afterwards() {
        let base: Timestamp = "2026-11-21T22:00:00Z".parse().expect("a time");
        runtime().expect("a runtime").block_on(async {
            let time = RemoteTime::new(base);
            assert_eq!(time.now(), base);
            let (address, release) = server();
            let asking = tokio::spawn({
                let time = std::sync::Arc::clone(&time);
                async move {
                    // Two wait at once: the clock stands still until the last one has its answer.
                    let _other = time.hold();
                    let held = time.hold();
                    let mut stream = TcpStream::connect(address).await.expect("a connection");
                    stream.write_all(b"?").await.expect("a request");
                    release.send(()).expect("the server lives");
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await.expect("an answer");
                    drop(held);
                    time.now()
                }
            });
            // A timer that tokio would jump to at once, were the clock not held.
            let timer = tokio::spawn(sleep(Duration::from_secs(3600)));
            assert_eq!(asking.await.expect("it ends"), base, "not a second passed");
            timer.await.expect("it ends");
            assert_eq!(time.now(), base + Duration::from_secs(3600), "and then it jumped");
            time.sleep(Duration::from_secs(60)).await;
            assert_eq!(time.now(), base + Duration::from_secs(3660));
        });
    }

    #[test]
    fn it_is_never_earlier_than_the_other_process_says() {
        let base: Timestamp = "2026-11-21T22:00:00Z".parse().expect("a time");
        runtime().expect("a runtime").block_on(async {
            let time = RemoteTime::new(base);
            time.not_before(base + Duration::from_secs(600));
            time.not_before(base);
            assert_eq!(time.now(), base + Duration::from_secs(600));
        });
    }
}
