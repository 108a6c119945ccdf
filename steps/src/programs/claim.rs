//! What is remembered of a program, and what that means now.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{private_folder, session::Member, trouble::is_passing};

/// Longer than a shell needs to write its claim into the file that it has just made, or to be gone after it has given it
/// back, on a machine that is very busy.
const CLAIMING: Duration = Duration::from_secs(10);

/// What is kept under one token: files that share this path and differ in their endings.
#[derive(Debug)]
pub(super) struct Claim(PathBuf);

/// What was written down before a program was started.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// A word of its own, which is part of the names of the other files: what is left of an earlier start of the same
    /// token, files or a shell that comes late, belongs to another word.
    pub(super) word: String,
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
    /// It runs; absent is the shell while it writes and syncs its claim, which it gives back where it cannot.
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

    /// Writes down that the program is about to be started, unless that was done before, also by somebody else in this
    /// moment. Durable when it returns.
    pub(super) fn prepare(&self, output: &Path) -> io::Result<Start> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            private_folder(folder)?;
            File::open(folder.parent().unwrap_or(folder))?.sync_all()?;
        }
        let start =
            Start { word: Uuid::new_v4().simple().to_string(), boot: boot()?, output: output.to_owned() };
        let part = self.file(&format!("{}.part", start.word));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&part)?;
        writeln!(file, "{}\n{}\n{}", start.word, start.boot, start.output.display())?;
        file.sync_all()?;
        // A link is whole or not there, and there is only one.
        let linked = fs::hard_link(&part, self.file("start"));
        fs::remove_file(part)?;
        let start = match linked {
            Ok(()) => start,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.start()?.unwrap_or(start),
            Err(error) => return Err(error),
        };
        File::open(folder)?.sync_all()?;
        Ok(start)
    }

    /// Deletes what is known of this start.
    pub(super) fn delete(&self, start: &Start) -> io::Result<()> {
        // In this order: the shell relies on it.
        for ending in ["start".to_owned(), format!("{}.claim", start.word), format!("{}.code", start.word)] {
            match fs::remove_file(self.file(&ending)) {
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
        if let Some((code, at)) = self.code(&start)? {
            return Ok(State::Ended { start, code, at });
        }
        if start.boot != boot()? {
            return Ok(State::Lost(start));
        }
        let claimed = self.file(&format!("{}.claim", start.word));
        let claim = match fs::read_to_string(&claimed) {
            Ok(claim) => claim,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Prepared(start)),
            Err(error) => return Err(error),
        };
        let Some(supervisor) = Member::parse(&claim) else {
            // A drive may take its time for the sync.
            if let Some(claiming) = Member::claiming(&claim)
                && claiming.lives()?
            {
                return Ok(State::Running { start, supervisor: None });
            }
            return Ok(match age(&claimed) {
                Ok(age) if age < CLAIMING => State::Running { start, supervisor: None },
                Ok(_) => State::Lost(start),
                // It was given back.
                Err(error) if error.kind() == ErrorKind::NotFound => State::Prepared(start),
                Err(error) => return Err(error),
            });
        };
        if supervisor.lives()? {
            return Ok(State::Running { start, supervisor: Some(supervisor) });
        }
        // It may have ended since we looked for its result.
        if let Some((code, at)) = self.code(&start)? {
            return Ok(State::Ended { start, code, at });
        }
        // Somebody killed the shell alone. What it ran runs on, and its end is all that can still be waited for.
        Ok(if supervisor.has_session()? {
            State::Running { start, supervisor: Some(supervisor) }
        } else {
            State::Lost(start)
        })
    }

    fn start(&self) -> io::Result<Option<Start>> {
        let text = match fs::read_to_string(self.file("start")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = text.lines().map(str::to_owned);
        let (word, boot, output) = (lines.next(), lines.next(), lines.next());
        let whole = word.zip(boot).zip(output);
        Ok(whole.map(|((word, boot), output)| Start { word, boot, output: PathBuf::from(output) }))
    }

    fn code(&self, start: &Start) -> io::Result<Option<(i32, Option<Timestamp>)>> {
        let path = self.file(&format!("{}.code", start.word));
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

fn age(file: &Path) -> io::Result<Duration> {
    let written = fs::metadata(file)?.modified()?;
    Ok(SystemTime::now().duration_since(written).unwrap_or_default())
}

/// Changes when the machine starts anew. Where the system does not tell, every process counts as another boot would:
/// the claim's own process decides alone.
///
/// # Errors
/// The system has an answer, but not now.
pub(super) fn boot() -> io::Result<String> {
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => Ok(id.trim().to_owned()),
        Err(error) if is_passing(&error) => Err(error),
        Err(_) => Ok("-".to_owned()),
    }
}
