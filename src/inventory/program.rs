//! Runs a program to its end, within a time and a size.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// The most that is read of what a program prints: ten thousand hosts are about ten million bytes.
const MOST_PRINTED: usize = 64 << 20;

/// The most that is kept of its complaints.
const MOST_SAID: usize = 64 << 10;

/// The most of them that is told.
const MOST_TOLD: usize = 400;

/// Between two looks at whether a program that closed its output has ended.
const BREATH: Duration = Duration::from_millis(5);

/// A program and what it gets.
pub(super) struct Program<'a> {
    pub name: &'a str,
    pub arguments: &'a [String],
    /// Added to our environment.
    pub env: BTreeMap<String, String>,
    /// Taken out of it.
    pub withheld: &'a [String],
    /// Where it runs; absent: where we do.
    pub folder: Option<&'a Path>,
    /// It is killed after this time, with all that it started.
    pub timeout: Duration,
}

/// Why there is no output.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such program.
    Missing,
    /// It could not be started, or not be waited for.
    Io(io::Error),
    /// It did not end in time.
    Silent(Duration),
    /// It printed too much.
    Loud,
    /// It ended badly, and said this.
    Ended(ExitStatus, String),
}

impl Failure {
    /// One lower-case sentence.
    pub fn said_of(&self, name: &str) -> String {
        match self {
            Self::Missing => format!("there is no program `{name}`"),
            Self::Io(error) => format!("`{name}` cannot be run: {error}"),
            Self::Silent(time) => format!("`{name}` did not end within {} s and was killed", time.as_secs()),
            Self::Loud => format!("`{name}` printed more than {} MiB and was killed", MOST_PRINTED >> 20),
            Self::Ended(status, said) if said.is_empty() => format!("`{name}` ended with {}", ending(status)),
            Self::Ended(status, said) => format!("`{name}` ended with {}: {said}", ending(status)),
        }
    }
}

fn ending(status: &ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

impl Program<'_> {
    /// What it prints.
    pub fn run(&self) -> Result<Vec<u8>, Failure> {
        let end = Instant::now() + self.timeout;
        let mut command = Command::new(self.name);
        command.args(self.arguments).envs(&self.env).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in self.withheld.iter().filter(|name| !self.env.contains_key(*name)) {
            command.env_remove(name);
        }
        if let Some(folder) = self.folder.filter(|folder| !folder.as_os_str().is_empty()) {
            command.current_dir(folder);
        }
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::Missing,
            _ => Failure::Io(error),
        })?;
        let printed = child.stdout.take().map(|stream| reading(stream, MOST_PRINTED + 1));
        let said = child.stderr.take().map(|stream| reading(stream, MOST_SAID));
        let ended = self.ended(&mut child, printed, said, end);
        if !matches!(ended, Ok(_) | Err(Failure::Ended(..))) {
            // All that it started goes with it. What is gone already is no error.
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait();
        }
        ended
    }

    fn ended(
        &self,
        child: &mut Child,
        printed: Option<Receiver<Vec<u8>>>,
        said: Option<Receiver<Vec<u8>>>,
        end: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let left = || end.saturating_duration_since(Instant::now());
        let silent = |_| Failure::Silent(self.timeout);
        let printed = printed.map_or(Ok(Vec::new()), |from| from.recv_timeout(left())).map_err(silent)?;
        if printed.len() > MOST_PRINTED {
            return Err(Failure::Loud);
        }
        let said = said.map_or(Ok(Vec::new()), |from| from.recv_timeout(left())).map_err(silent)?;
        let status = loop {
            match child.try_wait().map_err(Failure::Io)? {
                Some(status) => break status,
                None if left().is_zero() => return Err(Failure::Silent(self.timeout)),
                None => thread::sleep(BREATH.min(left())),
            }
        };
        if status.success() { Ok(printed) } else { Err(Failure::Ended(status, complaint(&said))) }
    }
}

/// Reads a stream to its end; what is beyond the limit is thrown away, unless nobody reads it: then the writer stops.
fn reading(mut stream: impl Read + Send + 'static, most: usize) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error counts.
        let _ = stream.by_ref().take(most as u64).read_to_end(&mut bytes);
        let full = bytes.len() == most;
        let _ = sender.send(bytes);
        if full {
            let _ = io::copy(&mut stream, &mut io::sink());
        }
    });
    receiver
}

/// The line that says why: the first that calls itself an error, else the last one.
fn complaint(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find(|line| {
        let line = line.trim_start_matches('[').to_lowercase();
        line.starts_with("error")
    });
    let line = error.or_else(|| lines().next_back()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(MOST_TOLD).collect()
}
