//! Processes, told apart by number and birth, and the sessions that they lead.

use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};

use super::trouble::is_passing;

/// A process that leads a session of its own: the shell above a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pid: Pid,
    /// The time of its birth, in ticks since boot; a later process with the same number has another one.
    born: Option<u64>,
}

/// A line of `/proc/<pid>/stat`, as far as it is needed.
struct Stat {
    pid: i32,
    state: char,
    session: i32,
    born: u64,
}

impl Stat {
    /// The command's name stands in brackets and may hold anything, so what follows the last bracket is read.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.rsplit_once(')')?;
        let pid = before.split_once(' ')?.0.parse().ok()?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            session: fields.get(3)?.parse().ok()?,
            born: fields.get(19)?.parse().ok()?,
        })
    }

    /// None: there is no such process. That we cannot look just now is no answer.
    fn of(pid: Pid) -> io::Result<Option<Self>> {
        match fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
            Ok(line) => Ok(Self::parse(&line)),
            Err(error) if is_passing(&error) => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

impl Member {
    /// What a shell wrote of itself: its line of `/proc`, or just its number where there is no `/proc`. `None` while its
    /// claim does not hold.
    pub(super) fn parse(claim: &str) -> Option<Self> {
        Self::claiming(claim.strip_suffix('\n')?)
    }

    /// The shell whose claim does not hold yet.
    pub(super) fn claiming(line: &str) -> Option<Self> {
        let (pid, born) = match Stat::parse(line) {
            Some(stat) => (stat.pid, Some(stat.born)),
            None => (line.parse().ok()?, None),
        };
        Some(Self { pid: Pid::from_raw(pid)?, born })
    }

    /// Whether it still runs.
    pub(super) fn lives(self) -> io::Result<bool> {
        Ok(match self.born {
            Some(born) => Stat::of(self.pid)?.is_some_and(|stat| stat.born == born && stat.lives()),
            None => test_kill_process(self.pid).is_ok(),
        })
    }

    /// Whether anything else runs in its session.
    pub(super) fn has_session(self) -> io::Result<bool> {
        Ok(self.born.is_some() && !self.session()?.is_empty())
    }

    /// Asks everything in its session to end. The shell itself is spared: it keeps the result.
    pub(super) fn end_session(self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Ends everything in its session, but for the shell itself.
    pub(super) fn kill_session(self) -> io::Result<()> {
        // What is born while we look is found in the next round.
        for _ in 0..10 {
            self.signal(Signal::KILL)?;
            if !self.has_session()? {
                break;
            }
        }
        Ok(())
    }

    fn signal(self, signal: Signal) -> io::Result<()> {
        if self.born.is_none() {
            return ignore_gone(kill_process_group(self.pid, signal));
        }
        self.session()?.into_iter().try_for_each(|pid| ignore_gone(kill_process(pid, signal)))
    }

    /// The living processes of its session, itself left out.
    fn session(self) -> io::Result<Vec<Pid>> {
        let mut members = Vec::new();
        let processes = match fs::read_dir("/proc") {
            Err(error) if is_passing(&error) => return Err(error),
            processes => processes,
        };
        for entry in processes.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
                continue;
            };
            let leader = self.pid.as_raw_nonzero().get();
            let is_member = |stat: Stat| stat.session == leader && stat.pid != leader && stat.lives();
            // A session's number is not used again while it has members, but after that it may be: those that were
            // born before the shell cannot belong to it, and a leader of that number born later is another one.
            if Stat::of(pid)?.is_some_and(|stat| Some(stat.born) >= self.born && is_member(stat)) {
                members.push(pid);
            }
        }
        let reused = Stat::of(self.pid)?.is_some_and(|stat| Some(stat.born) != self.born);
        Ok(if reused { Vec::new() } else { members })
    }
}

fn ignore_gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => Ok(other?),
    }
}
