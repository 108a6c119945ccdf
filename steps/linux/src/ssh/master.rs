//! One `ssh` process that holds the connection to one host.

use std::{
    fs::File,
    path::Path,
    process::Stdio,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use openssh::Session;
use runbook_engine::connection::Sudo;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::Manager,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{OnceCell, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

use super::{Access, fault, refusal, room::Place};

/// How long a connection may take in all. `ConnectTimeout` ends with the exchange of keys; a host may fall silent later,
/// and jump hosts take their own time.
const CONNECTING: Duration = Duration::from_secs(45);

/// How long a process that was told to end may take. Killed then, it leaves the end of those that it started for jump
/// hosts to them: their input ends.
const ENDING: Duration = Duration::from_secs(10);

/// How many sessions at a time: sshd allows 10 over one connection (`MaxSessions`), of which our lease is one.
const SESSIONS: usize = 5;

/// The session that keeps the connection: it says that it is there, with the user's id and the host's uptime, and lasts
/// as long as its standard input, which ends with our process however that ends.
const LEASE: &str = r#"printf "\n%s up %s %s\n" "$1" "$(id -u)" "$(cut -d " " -f 1 /proc/uptime 2>/dev/null)"; exec cat >/dev/null"#;

/// A connection. It ends when this is dropped, and when our process dies.
#[derive(Debug)]
pub(crate) struct Master {
    access: Access,
    session: Session,
    user: u32,
    /// The host's uptime, and when it was told.
    uptime: Option<(f64, Instant)>,
    suspected: AtomicBool,
    sessions: Semaphore,
    used: Mutex<Instant>,
    manager: OnceCell<Manager>,
    _process: Process,
}

/// The process, which is asked to end, and not killed, so that it ends those that it started for jump hosts. Its folder
/// and its place are free when it is gone.
#[derive(Debug)]
struct Process {
    // Empty only while it is dropped.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    _lease: Option<ChildStdin>,
    // In this order: who gets the place finds the folder gone.
    _folder: TempDir,
    place: Place,
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        // It was not waited for, so its number is still its own.
        if let (Ok(None), Some(pid)) = (running.child.try_wait(), running.child.id())
            && let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::TERM);
            // Without a runtime we are ending ourselves, and nobody waits for a place.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                running.place.ends();
                runtime.spawn(async move {
                    if timeout(ENDING, running.child.wait()).await.is_err() {
                        let _ = running.child.kill().await;
                    }
                });
            }
        }
    }
}

impl Master {
    /// Connects. `folder` is where control sockets are, `withheld` which variables of our environment `ssh` and what it
    /// starts do not see.
    pub(super) async fn connect(
        access: Access,
        folder: &Path,
        withheld: &[String],
        place: Place,
    ) -> Result<Self, Fault> {
        let until = Instant::now() + CONNECTING;
        let unable = |what: &str, error: &dyn std::fmt::Display| {
            fault("ssh:connect", FaultKind::NotSent, format!("{what}: {error}"))
        };
        // The whole path has to fit into 108 bytes, with 17 that ssh appends for a moment.
        let folder = tempfile::Builder::new().prefix("").rand_bytes(8).tempdir_in(folder);
        let folder = folder.map_err(|error| unable("no folder for a control socket can be made", &error))?;
        let control = folder.path().join("s");
        let log = folder.path().join("log");
        let stderr = File::create(&log).map_err(|error| unable("ssh's words cannot be kept", &error))?;
        let word = format!("runbook-{}", Uuid::new_v4().simple());
        let mut command = Command::new("ssh");
        command
            .args(access.arguments(&control.to_string_lossy()))
            .arg(format!("exec /bin/sh -c '{LEASE}' rb {word}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // An interrupt typed at a terminal is for us to answer.
            .process_group(0);
        for name in withheld {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(|error| {
            unable("OpenSSH's client cannot be started (`apt-get install openssh-client`)", &error)
        })?;
        let (lease, stdout) = (child.stdin.take(), child.stdout.take());
        let mut process = Process { running: Some(Running { child, _lease: lease, _folder: folder, place }) };
        let hello = format!("\n{word} up ");
        let told = timeout_at(until, greeted(&mut process, stdout, &hello)).await;
        let words =
            || std::fs::read(&log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default();
        let line = match told {
            Ok(Ok(line)) => line,
            Ok(Err(said)) => return Err(refusal::read(&format!("{said}\n{}", words()), &access)),
            Err(_) => {
                let (address, said) = (&access.address, words());
                let last = said.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
                let message =
                    format!("{address} is silent: no connection within {} s{last}", CONNECTING.as_secs());
                return Err(fault("ssh:connect", FaultKind::NotSent, message));
            }
        };
        let mut told = line.split_whitespace();
        let user = told.next().and_then(|user| user.parse().ok());
        let user = user.ok_or_else(|| {
            fault(
                "ssh:connect",
                FaultKind::Target,
                format!("{} does not tell who is logged in", access.address),
            )
        })?;
        let uptime = told.next().and_then(|up| up.parse().ok()).map(|up| (up, Instant::now()));
        Ok(Self {
            session: Session::resume_mux(control.into_boxed_path(), None),
            access,
            user,
            uptime,
            suspected: AtomicBool::new(false),
            sessions: Semaphore::new(SESSIONS),
            used: Mutex::new(Instant::now()),
            manager: OnceCell::new(),
            _process: process,
        })
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// What is asked once for each connection.
    pub(crate) fn manager(&self) -> &OnceCell<Manager> {
        &self.manager
    }

    /// Root is who logs in.
    pub(crate) fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Root's rights are meant to be had.
    pub(crate) fn is_rooted(&self) -> bool {
        self.is_root() || self.access.sudo() != Sudo::None
    }

    /// The host's uptime in seconds, as far as it can be known without asking again.
    pub(crate) fn uptime(&self) -> Option<u64> {
        self.uptime.map(|(up, at)| (up + at.elapsed().as_secs_f64()) as u64)
    }

    /// One of its sessions.
    pub(super) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let turn = self.sessions.acquire().await.ok();
        self.touch();
        turn
    }

    /// The next call is given a new connection.
    pub(crate) fn suspect(&self) {
        self.suspected.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_suspected(&self) -> bool {
        self.suspected.load(Ordering::Relaxed)
    }

    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When it was last used.
    pub(super) fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until the lease says that it is there; what it tells. An error: what came instead.
async fn greeted(process: &mut Process, stdout: Option<ChildStdout>, hello: &str) -> Result<String, String> {
    let Some(mut stdout) = stdout else { return Err(String::new()) };
    let mut said = Vec::new();
    let mut bytes = [0; 4_096];
    loop {
        match stdout.read(&mut bytes).await {
            Ok(0) | Err(_) => {
                // What it wrote to its log is complete only when it ended.
                if let Some(running) = &mut process.running {
                    let _ = running.child.wait().await;
                }
                return Err(String::from_utf8_lossy(&said).into_owned());
            }
            Ok(count) => said.extend_from_slice(&bytes[..count]),
        }
        let text = String::from_utf8_lossy(&said);
        if let Some((_, told)) = text.split_once(hello)
            && let Some((line, _)) = told.split_once('\n')
        {
            return Ok(line.to_owned());
        }
        if said.len() > 1 << 20 {
            return Err("its login prints without end".to_owned());
        }
    }
}
