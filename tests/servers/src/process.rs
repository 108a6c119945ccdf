//! A server process on a free port of 127.0.0.1.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take until it answers, on a small machine that builds at the same time.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running server. It ends with its handle.
pub(crate) struct Process {
    leash: Child,
    port: u16,
    folder: TempDir,
}

impl Process {
    /// Starts what `command` builds for a port and a folder of its own, and waits until it answers HTTP.
    pub fn start(name: &str, command: impl Fn(u16, &Path) -> Command) -> Self {
        // Between choosing a port and binding it somebody else may take it.
        for _ in 0..5 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let port = free_port();
            let server = command(port, folder.path());
            let log = File::create(folder.path().join("log")).expect("a log file");
            let mut leash = Command::new(super::folder().join("leash.sh"));
            leash.arg(server.get_program()).args(server.get_args());
            for (key, value) in server.get_envs() {
                match value {
                    Some(value) => leash.env(key, value),
                    None => leash.env_remove(key),
                };
            }
            let leash = leash
                .current_dir(folder.path())
                .stdin(Stdio::piped())
                .stdout(log.try_clone().expect("the log again"))
                .stderr(log)
                .spawn()
                .expect("leash.sh starts");
            let mut process = Self { leash, port, folder };
            if process.answers() {
                return process;
            }
            eprintln!("{name} did not start: {}", process.log());
        }
        panic!("{name} does not start");
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The server's own folder, gone when it ends.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the server printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// One HTTP request; status and body.
    pub fn http(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn answers(&mut self) -> bool {
        let end = Instant::now() + START_LIMIT;
        while Instant::now() < end {
            if self.http("GET", "/", "").is_some() {
                return true;
            }
            if self.leash.try_wait().expect("it can be asked").is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends the server, by its pid.
        drop(self.leash.stdin.take());
        let _ = self.leash.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
