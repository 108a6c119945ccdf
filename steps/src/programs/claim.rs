//! What is remembered of a program, and what that means now.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use super::{private_folder, session::Member};

/// Longer than a shell needs to write its claim into the file that it has just made, on a machine that is very busy.
const CLAIMING: Duration = Duration::from_secs(10);

/// The folder of one token.
#[derive(Debug)]
pub(super) struct Claim(PathBuf);

/// What was written down before a program was started.
#[derive(Debug)]
pub(super) struct Start {
    /// The boot id of this machine at that time.
    pub(super) boot: String,
    /// Where its output goes, without the endings.
    pub(super) output: PathBuf,
}

/// What is known of a program.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing.
    Absent,
    /// It was about to be started, in this boot, and no shell has claimed it yet.
    Prepared(Start),
    /// It runs; absent is the shell while it writes its claim, and where only what the program left behind runs on.
    Running { start: Start, supervisor: Option<Member> },
    /// It ended.
    Ended { start: Start, code: i32, at: Option<Timestamp> },
    /// It may have been started, does not run, and left no result.
    Lost(Start),
}

impl Claim {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// Writes down that the program is about to be started. Durable when it returns.
    pub(super) fn prepare(&self, start: &Start) -> io::Result<()> {
        private_folder(&self.0)?;
        static PARTS: AtomicU64 = AtomicU64::new(0);
        // Two starts at the same time do not write into one file.
        let part =
            self.0.join(format!("start.{}.{}", std::process::id(), PARTS.fetch_add(1, Ordering::Relaxed)));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        writeln!(file, "{}\n{}", start.boot, start.output.display())?;
        file.sync_all()?;
        fs::rename(part, self.0.join("start"))?;
        // The file's name, the folder's name, and the name of the folder around it, if that is new.
        for folder in self.0.ancestors().take(3) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    pub(super) fn state(&self) -> io::Result<State> {
        let Some(start) = self.start()? else { return Ok(State::Absent) };
        if let Some((code, at)) = self.code()? {
            return Ok(State::Ended { start, code, at });
        }
        if start.boot != boot() {
            return Ok(State::Lost(start));
        }
        let claim = match fs::read_to_string(self.0.join("claim")) {
            Ok(claim) => claim,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Prepared(start)),
            Err(error) => return Err(error),
        };
        let Some(supervisor) = Member::parse(&claim) else {
            let made = fs::metadata(self.0.join("claim"))?.modified()?;
            let age = SystemTime::now().duration_since(made).unwrap_or_default();
            return Ok(if age < CLAIMING {
                State::Running { start, supervisor: None }
            } else {
                State::Lost(start)
            });
        };
        if supervisor.lives() {
            return Ok(State::Running { start, supervisor: Some(supervisor) });
        }
        // It may have ended since we looked for its result.
        if let Some((code, at)) = self.code()? {
            return Ok(State::Ended { start, code, at });
        }
        // Somebody killed the shell alone. What it ran runs on, and its end is all that can still be waited for.
        Ok(if supervisor.has_session() {
            State::Running { start, supervisor: Some(supervisor) }
        } else {
            State::Lost(start)
        })
    }

    fn start(&self) -> io::Result<Option<Start>> {
        let text = match fs::read_to_string(self.0.join("start")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (boot, output) = text.trim_end_matches('\n').split_once('\n').unwrap_or_default();
        Ok(Some(Start { boot: boot.to_owned(), output: PathBuf::from(output) }))
    }

    fn code(&self) -> io::Result<Option<(i32, Option<Timestamp>)>> {
        let path = self.0.join("code");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let code = text.strip_suffix('\n').and_then(|text| text.parse().ok());
        let at = fs::metadata(path)?.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        Ok(code.map(|code| (code, at)))
    }
}

/// Changes when the machine starts anew. Where the system does not tell, every process counts as another boot would:
/// the claim's own process decides alone.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "-".to_owned(), |id| id.trim().to_owned())
}
