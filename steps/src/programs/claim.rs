//! What is remembered of a program, and what that means now.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use super::{private_folder, session::Member};

/// The endings of the files.
pub(super) const START: &str = "start";
const CLAIM: &str = "claim";
const CODE: &str = "code";

/// Longer than a shell needs to write its claim into the file that it has just made, on a machine that is very busy.
const CLAIMING: Duration = Duration::from_secs(10);

/// What is kept under one token: files that share this path and differ in their endings.
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
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The path, without any ending.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes down that the program is about to be started. Durable when it returns.
    pub(super) fn prepare(&self, start: &Start) -> io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            private_folder(folder)?;
            File::open(folder.parent().unwrap_or(folder))?.sync_all()?;
        }
        let mut file = File::options().append(true).create(true).mode(0o600).open(self.file(START))?;
        // An earlier start that got no further left the same words, or the beginning of them.
        if self.start()?.is_none() {
            file.set_len(0)?;
            file.write_all(format!("{}\n{}\n", start.boot, start.output.display()).as_bytes())?;
        }
        file.sync_all()?;
        File::open(folder)?.sync_all()
    }

    /// Deletes everything that is kept; nothing is no error.
    pub(super) fn delete(&self) -> io::Result<()> {
        // The start last: without it, whatever else is left means nothing.
        for ending in [CLAIM, CODE, START] {
            match fs::remove_file(self.file(ending)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.0.with_extension(ending)
    }

    pub(super) fn state(&self) -> io::Result<State> {
        let Some(start) = self.start()? else { return Ok(State::Absent) };
        if let Some((code, at)) = self.code()? {
            return Ok(State::Ended { start, code, at });
        }
        if start.boot != boot() {
            return Ok(State::Lost(start));
        }
        let claim = match fs::read_to_string(self.file(CLAIM)) {
            Ok(claim) => claim,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Prepared(start)),
            Err(error) => return Err(error),
        };
        let Some(supervisor) = Member::parse(&claim) else {
            let made = fs::metadata(self.file(CLAIM))?.modified()?;
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
        let text = match fs::read_to_string(self.file(START)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Cut short, it was never synced, so nothing was started. Two starts at once may both have written.
        let mut lines = text.split_inclusive('\n').map(|line| line.strip_suffix('\n'));
        let (boot, output) = (lines.next().flatten(), lines.next().flatten());
        Ok(boot
            .zip(output)
            .map(|(boot, output)| Start { boot: boot.to_owned(), output: PathBuf::from(output) }))
    }

    fn code(&self) -> io::Result<Option<(i32, Option<Timestamp>)>> {
        let path = self.file(CODE);
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
