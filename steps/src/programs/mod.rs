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
//! | `<token>.<word>.claim` | by the shell, exclusively, synced before the program | which process it is; with its newline: that it was synced |
//! | `<token>.<word>.code` | by the shell | the exit code |
//!
//! A start without a claim, in the same boot, was never carried out and can be repeated, because two shells cannot both
//! claim, and a claim is synced before its program begins. After a reboot it may have been carried out and lost, so it
//! counts as [`Progress::Lost`]. The code is not synced: what a crash takes away only makes the answer `Lost`, never
//! wrong.
//!
//! The *outputs* folder holds what programs print. It may contain secrets, and what reaches the journal is masked by
//! whoever journals it, so this folder must not lie below the state folder: [`outputs_folder`] chooses memory-backed
//! storage, private to the user. [`Process::forget`] deletes an output as soon as it is journaled. The environment of a
//! program, which may contain secrets too, is handed over by the operating system and never written down.

mod claim;
mod hands;
mod output;
mod session;
#[cfg(test)]
mod tests;
mod trouble;

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
    hands::Hands,
    output::Output,
    trouble::{Trouble, refused, said},
};
use crate::ports::{
    hindrance::Hindrance,
    process::{Ended, Process, Program, Progress},
};

const SUPERVISOR: &str = include_str!("supervisor.sh");

/// How long a program that was asked to end has for it; what systemd and docker give is 90 s and 10 s, and an attempt
/// whose time is over should not hold its machine for long.
const GRACE: Duration = Duration::from_secs(10);

/// A shell needs some milliseconds to start and to sync its claim, on a drive that is not slow.
const CLAIM_ASKED_EVERY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

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
    hands: Hands,
}

impl Programs {
    /// Remembers programs in the folder `claims`, which must outlive us, and keeps what they print in the folder
    /// `outputs`. Both are made when the first program starts.
    pub fn new(claims: impl Into<PathBuf>, outputs: impl Into<PathBuf>) -> Self {
        let (withheld, children, hands) = (Arc::default(), Arc::default(), Hands::default());
        Self { claims: claims.into(), outputs: outputs.into(), grace: GRACE, withheld, children, hands }
    }

    /// Keeps these variables of our own environment from programs: secrets are given by name only.
    #[must_use]
    pub fn withholding(self, names: impl IntoIterator<Item = String>) -> Self {
        Self { withheld: names.into_iter().collect(), ..self }
    }

    fn claim(&self, token: &str) -> Result<Claim, Trouble> {
        // A token becomes a file name.
        let plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !plain || token.is_empty() {
            return Err(Trouble::of(format!("`{token}` cannot be the token of a program")));
        }
        Ok(Claim::new(self.claims.join(token)))
    }

    fn spawn(&self, program: &Program) -> Result<(), Trouble> {
        let claim = self.claim(&program.token)?;
        match self.state(&program.token)? {
            State::Prepared(_) | State::Absent => {}
            State::Running { .. } | State::Ended { .. } | State::Lost(_) => return Ok(()),
        }
        let output = Output::new(&self.outputs, &program.token);
        let (stdout, stderr) = output.open().map_err(said("cannot keep its output"))?;
        let start = claim.prepare(output.path()).map_err(said("cannot remember it"))?;
        let child = launch(claim.path(), &start, program, &self.withheld, stdout, stderr);
        let child = child.map_err(refused)?;
        self.lock().entry(program.token.clone()).or_default().push(child);
        Ok(())
    }

    fn ask(&self, token: &str) -> Result<Progress, Trouble> {
        match self.state(token)? {
            State::Absent | State::Prepared(_) => Ok(Progress::Absent),
            State::Lost(_) => Ok(Progress::Lost),
            State::Running { start, .. } => {
                // A program that prints without end must not fill the memory.
                Output::at(&start.output).trim();
                Ok(Progress::Running)
            }
            State::Ended { start, code, at } => {
                let printed = Output::at(&start.output).read();
                let (stdout, stderr) = printed.map_err(said("cannot read its output"))?;
                Ok(Progress::Ended(Ended { code, stdout, stderr, ended_at: at }))
            }
        }
    }

    fn delete(&self, token: &str) -> Result<(), Trouble> {
        let claim = self.claim(token)?;
        match self.state(token)? {
            State::Running { .. } => Err(Trouble::of("it still runs")),
            State::Absent => Ok(()),
            State::Prepared(start) | State::Lost(start) | State::Ended { start, .. } => {
                Output::at(&start.output).delete();
                claim.delete(&start).map_err(said("cannot delete what is known of it"))
            }
        }
    }

    fn state(&self, token: &str) -> Result<State, Trouble> {
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

    /// Waits until the shell has claimed the program. One that could not (a full drive leaves it no room for that, and a
    /// failing one does not sync it) has begun nothing, and the start can be repeated.
    async fn claimed(&self, token: &str) -> Result<(), Trouble> {
        let mut pause = CLAIM_ASKED_EVERY.0;
        loop {
            match self.state(token) {
                Ok(State::Absent | State::Prepared(_)) => return Err(Trouble::unclaimed()),
                Ok(State::Running { supervisor: None, .. }) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause + pause / 4).min(CLAIM_ASKED_EVERY.1);
                }
                // That we cannot look just now says nothing of the program: whoever waits for it looks again.
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Child>>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it runs, and the shell above it, once that has written its claim.
    fn supervisor(&self, token: &str) -> Result<Option<Option<session::Member>>, Trouble> {
        match self.state(token)? {
            State::Running { supervisor, .. } => Ok(Some(supervisor)),
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Process for Programs {
    async fn start(&self, program: Program) -> Result<(), Hindrance> {
        let mut shortage = Shortage::default();
        loop {
            let (programs, begun) = (self.clone(), program.clone());
            let mut started = self.hands.take(move || programs.spawn(&begun)).await;
            if started.is_ok() {
                started = self.claimed(&program.token).await;
            }
            if let Some(answer) = shortage.over(started).await {
                return answer.map_err(Hindrance::from);
            }
        }
    }

    async fn progress(&self, token: &str) -> Result<Progress, String> {
        let mut shortage = Shortage::default();
        loop {
            if let Some(answer) = shortage.over(self.ask(token)).await {
                return answer.map_err(|trouble| trouble.why);
            }
        }
    }

    async fn kill(&self, token: &str) -> Result<(), String> {
        let mut asked = false;
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(2);
        let mut shortage = Shortage::default();
        loop {
            let done = match self.supervisor(token) {
                Ok(None) => Ok(true),
                Ok(Some(Some(supervisor))) if waited >= self.grace => {
                    supervisor.kill_session().map(|()| true).map_err(said("cannot kill it"))
                }
                Ok(Some(Some(supervisor))) if !asked => {
                    let ended = supervisor.end_session().map_err(said("cannot ask it to end"));
                    asked = ended.is_ok();
                    ended.map(|()| false)
                }
                // It has been asked, or is about to write its claim.
                Ok(Some(_)) => Ok(false),
                Err(trouble) => Err(trouble),
            };
            match shortage.over(done).await {
                Some(Ok(true)) => return Ok(()),
                Some(Err(trouble)) => return Err(trouble.why),
                Some(Ok(false)) | None => {}
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    async fn forget(&self, token: &str) -> Result<(), String> {
        let mut shortage = Shortage::default();
        loop {
            let (programs, token) = (self.clone(), token.to_owned());
            let deleted = self.hands.take(move || programs.delete(&token)).await;
            if let Some(answer) = shortage.over(deleted).await {
                return answer.map_err(|trouble| trouble.why);
            }
        }
    }
}

/// How long this machine has been short of something.
#[derive(Default)]
struct Shortage {
    waited: Duration,
}

impl Shortage {
    /// The answer; none, after a pause, when it is worth asking again.
    async fn over<T>(&mut self, answer: Result<T, Trouble>) -> Option<Result<T, Trouble>> {
        match answer {
            Err(Trouble { patience: Some(patience), .. }) if self.waited < patience => {
                let pause = (self.waited / 4).clamp(Duration::from_millis(5), Duration::from_millis(500));
                self.waited += pause;
                tokio::time::sleep(pause).await;
                None
            }
            answer => Some(answer),
        }
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
