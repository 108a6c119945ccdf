//! Programs on this machine, for real: the adapter of [`Process`].
//!
//! Each program runs in a session of its own, below one small shell that claims the program's token, waits, and writes
//! the exit code down. That shell survives our death, so a later life finds the program by its token, running or ended.
//!
//! Two folders are used. The *claims* folder lies below the state folder. Its files are named after tokens:
//!
//! | file | written | says |
//! |---|---|---|
//! | `<token>.start` | by us, synced, before anything is started | a word, the boot id of that moment, where the output is |
//! | `<token>.<word>.claim` | by the shell, exclusively | which process it is |
//! | `<token>.<word>.code` | by the shell | the exit code |
//!
//! A start without a claim, in the same boot, was never carried out and can be repeated, because two shells cannot both
//! claim. After a reboot it may have been carried out and lost, so it counts as [`Progress::Lost`]. Neither claim nor
//! code is synced for the same reason: what a crash of the machine takes away only makes the answer `Lost`, never wrong.
//!
//! The *outputs* folder holds what programs print. It may contain secrets, and what reaches the journal is masked by
//! whoever journals it, so this folder must not lie below the state folder: [`outputs_folder`] chooses memory-backed
//! storage, private to the user. [`Process::forget`] deletes an output as soon as it is journaled. The environment of a
//! program, which may contain secrets too, is handed over by the operating system and never written down.

mod claim;
mod output;
mod session;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

pub use self::output::outputs_folder;
use self::{
    claim::{Claim, Start, State},
    output::Output,
};
use crate::ports::process::{Ended, Process, Program, Progress};

const SUPERVISOR: &str = include_str!("supervisor.sh");

/// How long a program that was asked to end has for it; what systemd and docker give is 90 s and 10 s, and an attempt
/// whose time is over should not hold its machine for long.
const GRACE: Duration = Duration::from_secs(10);

/// Programs of this machine. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Programs {
    claims: PathBuf,
    outputs: PathBuf,
    grace: Duration,
    /// Variables of our own environment that no program sees.
    withheld: Arc<[String]>,
    /// What this process has to reap; the system does it for those of earlier lives.
    children: Arc<Mutex<BTreeMap<String, Vec<Child>>>>,
}

impl Programs {
    /// Remembers programs in the folder `claims`, which must outlive us, and keeps what they print in the folder
    /// `outputs`. Both are made when the first program starts.
    pub fn new(claims: impl Into<PathBuf>, outputs: impl Into<PathBuf>) -> Self {
        let (withheld, children) = (Arc::default(), Arc::default());
        Self { claims: claims.into(), outputs: outputs.into(), grace: GRACE, withheld, children }
    }

    /// Keeps these variables of our own environment from programs: secrets are given by name only.
    #[must_use]
    pub fn withholding(self, names: impl IntoIterator<Item = String>) -> Self {
        Self { withheld: names.into_iter().collect(), ..self }
    }

    fn claim(&self, token: &str) -> Result<Claim, String> {
        // A token becomes a file name.
        let plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !plain || token.is_empty() {
            return Err(format!("`{token}` cannot be the token of a program"));
        }
        Ok(Claim::new(self.claims.join(token)))
    }

    fn spawn(&self, program: &Program) -> Result<(), String> {
        let claim = self.claim(&program.token)?;
        match self.state(&program.token)? {
            State::Prepared(_) | State::Absent => {}
            State::Running { .. } | State::Ended { .. } | State::Lost(_) => return Ok(()),
        }
        let output = Output::new(&self.outputs, &program.token);
        let (stdout, stderr) = output.open().map_err(said("cannot keep its output"))?;
        let start = claim.prepare(output.path()).map_err(said("cannot remember it"))?;
        let child = launch(claim.path(), &start, program, &self.withheld, stdout, stderr);
        let child = child.map_err(said("cannot start a process"))?;
        self.lock().entry(program.token.clone()).or_default().push(child);
        Ok(())
    }

    fn ask(&self, token: &str) -> Result<Progress, String> {
        match self.state(token)? {
            State::Absent | State::Prepared(_) => Ok(Progress::Absent),
            State::Lost(_) => Ok(Progress::Lost),
            State::Running { start, .. } => {
                // A program that prints without end must not fill the memory.
                Output::at(&start.output).trim();
                Ok(Progress::Running)
            }
            State::Ended { start, code, at } => {
                let (stdout, stderr) = Output::at(&start.output).read();
                Ok(Progress::Ended(Ended { code, stdout, stderr, ended_at: at }))
            }
        }
    }

    fn delete(&self, token: &str) -> Result<(), String> {
        let claim = self.claim(token)?;
        match self.state(token)? {
            State::Running { .. } => Err("it still runs".to_owned()),
            State::Absent => Ok(()),
            State::Prepared(start) | State::Lost(start) | State::Ended { start, .. } => {
                Output::at(&start.output).delete();
                claim.delete(&start).map_err(said("cannot delete what is known of it"))
            }
        }
    }

    fn state(&self, token: &str) -> Result<State, String> {
        // First, so that a shell which ends in between is not taken for one that is about to claim.
        let starting = self.has_child(token);
        let state = self.claim(token)?.state().map_err(said("cannot read what is known of it"))?;
        Ok(match state {
            State::Prepared(start) if starting => State::Running { start, supervisor: None },
            state => state,
        })
    }

    /// Whether this process started it, and its shell lives. One that ended stays in the process table until it is asked
    /// for, which is done here.
    fn has_child(&self, token: &str) -> bool {
        let mut children = self.lock();
        let Some(own) = children.get_mut(token) else { return false };
        own.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let lives = !own.is_empty();
        if !lives {
            children.remove(token);
        }
        lives
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Child>>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it runs, and the shell above it, once that has written its claim.
    fn supervisor(&self, token: &str) -> Result<Option<Option<session::Member>>, String> {
        match self.state(token)? {
            State::Running { supervisor, .. } => Ok(Some(supervisor)),
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Process for Programs {
    async fn start(&self, program: Program) -> Result<(), String> {
        let programs = self.clone();
        blocking(move || programs.spawn(&program)).await
    }

    async fn progress(&self, token: &str) -> Result<Progress, String> {
        self.ask(token)
    }

    async fn kill(&self, token: &str) -> Result<(), String> {
        let mut asked = false;
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(2);
        loop {
            match self.supervisor(token)? {
                None => return Ok(()),
                // It is about to write its claim.
                Some(None) => {}
                Some(Some(supervisor)) if waited >= self.grace => {
                    return supervisor.kill_session().map_err(said("cannot kill it"));
                }
                Some(Some(supervisor)) if !asked => {
                    supervisor.end_session().map_err(said("cannot ask it to end"))?;
                    asked = true;
                }
                Some(Some(_)) => {}
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    async fn forget(&self, token: &str) -> Result<(), String> {
        let programs = self.clone();
        let token = token.to_owned();
        blocking(move || programs.delete(&token)).await
    }
}

/// Starts the supervising shell in a session of its own.
fn launch(
    claim: &Path,
    start: &Start,
    program: &Program,
    withheld: &[String],
    stdout: fs::File,
    stderr: fs::File,
) -> io::Result<Child> {
    let command = |name: &str| -> io::Result<Command> {
        let mut command = Command::new(name);
        for name in withheld {
            command.env_remove(name);
        }
        command
            .envs(&program.env)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?);
        Ok(command)
    };
    let shell = |command: &mut Command| {
        command.arg("-c").arg(SUPERVISOR).arg(claim).arg(&start.word).args(&program.command).spawn()
    };
    match shell(command("setsid")?.arg("/bin/sh")) {
        // Without util-linux a process group of its own is the next best: a terminal's Ctrl-C does not reach it.
        Err(error) if error.kind() == ErrorKind::NotFound => shell(command("/bin/sh")?.process_group(0)),
        result => result,
    }
}

/// Makes a folder that nobody else can look into, with everything above it.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn said(what: &'static str) -> impl Fn(io::Error) -> String {
    move |error| format!("{what} ({error})")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(format!("this process is stopping ({error})")),
    }
}
