//! The world's state file: a line for every call that writes, on the disk before the call is answered.
//!
//! It is append-only, and it is the call log too. Reading it again gives the same world. A last line that was cut in
//! two by a crash belongs to a call that nobody was answered for: it is left out, and overwritten. Lines that only
//! say that time went on are not synced: a machine that goes down may set the world back by them, never a process
//! that is killed.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    fault_rule::Label,
    roster::FleetError,
    state::{Fact, Struck},
};

/// The format of the file.
pub(super) const FORMAT: u32 = 2;

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The answer did not reach the caller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answer_lost: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub struck: Struck,
    pub fact: Fact,
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens or makes the file, and reads what is in it.
    pub fn open(path: &Path) -> Result<(Self, Vec<Line>), FleetError> {
        let fail = |source| FleetError::Io { path: path.display().to_string(), source };
        let fresh = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fail)?;
        let (lines, whole) = read(path, &mut file)?;
        file.set_len(whole).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        if fresh && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
        }
        Ok((Self { path: path.to_owned(), file }, lines))
    }

    /// Writes a line; with `sync` it is on the disk when this returns.
    pub fn append(&mut self, line: &Line, sync: bool) -> Result<(), FleetError> {
        let fail = |source| FleetError::Io { path: self.path.display().to_string(), source };
        let mut bytes = serde_json::to_vec(line).map_err(|error| fail(error.into()))?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(fail)?;
        if sync {
            self.file.sync_data().map_err(fail)?;
        }
        Ok(())
    }
}

/// The lines, and the length of what is whole.
pub(super) fn read(path: &Path, file: &mut File) -> Result<(Vec<Line>, u64), FleetError> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| FleetError::Io { path: name(), source })?;
    let mut lines: Vec<Line> = Vec::new();
    let mut whole = 0;
    let mut rest = &bytes[..];
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let number = lines.len() as u64 + 1;
        let last = end + 1 == rest.len();
        match serde_json::from_slice::<Line>(&rest[..end]) {
            Ok(line) => lines.push(line),
            Err(_) if last && number > 1 => break,
            Err(error) => {
                return Err(FleetError::Damaged { path: name(), line: number, cause: error.to_string() });
            }
        }
        whole += end as u64 + 1;
        rest = &rest[end + 1..];
    }
    match lines.first().map(|line| &line.fact) {
        None => {}
        Some(Fact::Began { format: FORMAT, .. }) => {}
        Some(Fact::Began { format, .. }) => {
            let cause = format!("its format is {format}, this version knows {FORMAT}");
            return Err(FleetError::Damaged { path: name(), line: 1, cause });
        }
        Some(_) => {
            return Err(FleetError::Damaged { path: name(), line: 1, cause: "it does not begin".into() });
        }
    }
    Ok((lines, whole))
}

impl Line {
    pub fn new(at: Timestamp, label: Option<&Label>, fact: Fact) -> Self {
        Self {
            at,
            task: label.map(|label| label.task.clone()),
            attempt: label.map(|label| label.attempt),
            answer_lost: false,
            struck: Vec::new(),
            fact,
        }
    }
}
