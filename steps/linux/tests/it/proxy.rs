//! What lies between us and a host: a proxy that does something when so many bytes have passed it.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// What happens after the last byte that passes.
#[derive(Clone)]
pub enum Then {
    /// The connection is cut, at both ends.
    Cut,
    /// Nothing passes any more, and nobody is told.
    Silence,
    /// This is done, and then the rest passes.
    Do(Arc<dyn Fn() + Send + Sync>),
}

/// A proxy before the server on this port.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    passed: AtomicUsize,
    limit: AtomicUsize,
    over: AtomicBool,
    then: Then,
}

impl Proxy {
    /// Lets so many bytes pass, of both directions.
    pub fn new(server: u16, limit: usize, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            passed: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            over: AtomicBool::new(false),
            then,
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server)).expect("the server");
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let from = from.try_clone().expect("a stream");
                    let to = to.try_clone().expect("a stream");
                    let state = Arc::clone(&shared);
                    thread::spawn(move || pass(from, to, &state));
                }
            }
        });
        Self { port, state }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many bytes have passed.
    pub fn passed(&self) -> usize {
        self.state.passed.load(Ordering::SeqCst)
    }

    /// From now on nothing more passes.
    pub fn stop(&self) {
        self.state.limit.store(0, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut bytes = [0; 4_096];
    loop {
        let count = match from.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let before = state.passed.fetch_add(count, Ordering::SeqCst);
        let left = state.limit.load(Ordering::SeqCst).saturating_sub(before);
        if left >= count || matches!(&state.then, Then::Do(_)) && state.over.load(Ordering::SeqCst) {
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
            continue;
        }
        let _ = to.write_all(&bytes[..left]);
        match &state.then {
            Then::Cut => {
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
            Then::Silence => continue,
            Then::Do(deed) => {
                if !state.over.swap(true, Ordering::SeqCst) {
                    deed();
                }
                if to.write_all(&bytes[left..count]).is_err() {
                    break;
                }
            }
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
