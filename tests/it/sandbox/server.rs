//! `runbook sandbox` as a process, and what a test asks of it.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::calls::{Call, Calls};
use crate::program::root;

/// How long the sandbox may take until it listens, on a small machine that builds at the same time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long an answer may take: the calls of ten thousand machines are many.
const ANSWER_LIMIT: Duration = Duration::from_secs(90);

/// A running sandbox. It ends with its handle.
pub struct Sandbox {
    leash: Child,
    address: String,
    folder: TempDir,
}

/// Where a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Its effect has not taken place.
    Before,
    /// Its effect has taken place, and nobody was told.
    After,
}

impl Sandbox {
    /// Starts it with this fleet. Its time stands still unless somebody moves it.
    pub fn start(fleet: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("fleet.yaml");
        std::fs::write(&file, fleet).expect("a file is written");
        let log = File::create(folder.path().join("log")).expect("a log file");
        // The leash ends the sandbox when the test ends, however that comes about.
        let leash = Command::new(root().join("tests/servers/leash.sh"))
            .arg(env!("CARGO_BIN_EXE_runbook"))
            .args(["sandbox", "--listen", "127.0.0.1:0", "--speed", "0", "--fleet"])
            .arg(&file)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .env("RUNBOOK_STATE", folder.path().join("state"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the log again"))
            .stderr(log)
            .spawn()
            .expect("leash.sh starts");
        let mut sandbox = Self { leash, address: String::new(), folder };
        sandbox.address = sandbox.listening();
        sandbox
    }

    /// Waits until it says where it listens.
    fn listening(&mut self) -> String {
        let end = Instant::now() + START_LIMIT;
        loop {
            let log = self.log();
            if let Some((_, rest)) = log.split_once("http://127.0.0.1:") {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if !port.is_empty() && rest.len() > port.len() {
                    return format!("127.0.0.1:{port}");
                }
            }
            assert!(self.leash.try_wait().expect("it can be asked").is_none(), "it ended:\n{log}");
            assert!(Instant::now() < end, "it does not listen:\n{log}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it printed.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Every AWS call that is over.
    pub fn calls(&self) -> Calls {
        Calls(self.ask::<Vec<Call>>("GET", "calls", None))
    }

    /// The `call`-th AWS call from now on (1: the next) is held.
    pub fn hold(&self, call: usize, when: When) {
        let when = match when {
            When::Before => "before",
            When::After => "after",
        };
        self.ask::<Value>("POST", "hold", Some(json!({ "call": call, "when": when })));
    }

    /// Waits until a call is held; which. `None`: it is `over`, and none was.
    pub fn held(&self, mut over: impl FnMut() -> bool) -> Option<String> {
        loop {
            let was_over = over();
            let mut stream = self.send("GET", "held", "");
            stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
            let mut answer = Vec::new();
            let mut part = [0; 1024];
            loop {
                match stream.read(&mut part) {
                    Ok(0) => break,
                    Ok(count) => answer.extend_from_slice(&part[..count]),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        // Looked at before the question was asked: what was held then, is told.
                        if was_over {
                            return None;
                        }
                        if over() {
                            break;
                        }
                    }
                    Err(error) => panic!("the sandbox answers: {error}"),
                }
            }
            let answer = String::from_utf8_lossy(&answer);
            let Some((_, body)) = answer.split_once("\r\n\r\n") else { continue };
            let held: Value = serde_json::from_str(body).expect("JSON");
            if let Some(operation) = held["operation"].as_str() {
                return Some(operation.to_owned());
            }
        }
    }

    /// Lets what is held go on, and holds no more.
    pub fn release(&self) {
        self.ask::<Value>("POST", "release", None);
    }

    /// The most memory that it ever had, in MiB.
    pub fn peak_memory(&self) -> u64 {
        let leash = self.leash.id().to_string();
        let is_ours = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit(") ").next().unwrap_or_default().to_owned();
            after_name.split(' ').nth(1) == Some(leash.as_str()) && stat.contains("(runbook)")
        };
        let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = pids.map(|entry| entry.file_name().to_string_lossy().into_owned());
        pids.filter(|pid| is_ours(pid)).filter_map(|pid| peak_memory(&pid)).max().unwrap_or_default()
    }

    /// Moves its time on by so much (`48h`).
    pub fn advance(&self, by: &str) {
        self.ask::<Value>("POST", "clock", Some(json!({ "by": by })));
    }

    /// Asks EC2 itself (`Action=DescribeVolumes&…`); the answer is XML.
    #[track_caller]
    pub fn ec2(&self, query: &str) -> String {
        let body = format!("Version=2016-11-15&{query}");
        let mut stream = TcpStream::connect(&self.address).expect("the sandbox listens");
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIA000000000000SBOX/20261121/eu-central-1/ec2/aws4_request, \
             SignedHeaders=host, Signature=0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("the sandbox listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the sandbox answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    #[track_caller]
    fn ask<T: DeserializeOwned>(&self, method: &str, what: &str, body: Option<Value>) -> T {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut stream = self.send(method, what, &body);
        stream.set_read_timeout(Some(ANSWER_LIMIT)).expect("a time-out");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the sandbox answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert_eq!(head.split(' ').nth(1), Some("200"), "{answer}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    #[track_caller]
    fn send(&self, method: &str, what: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("the sandbox listens");
        write!(
            stream,
            "{method} /_sandbox/{what} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("the sandbox listens");
        stream
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the sandbox said:\n{}", self.log());
        }
        // The end of its input ends the sandbox, by its pid.
        drop(self.leash.stdin.take());
        let _ = self.leash.wait();
    }
}

/// The most memory that a process ever had, in MiB; `None`: it is gone.
pub fn peak_memory(pid: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().split(' ').next()?.parse::<u64>().ok()? / 1024)
}
