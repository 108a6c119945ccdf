//! Every AWS call, in a file beside the world's state, so that tests can count them after a restart.
//!
//! The lines are written before the call is answered, and not synced: they outlive the death of the process, not that
//! of the machine. They also say how far the world's time went.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An AWS call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1, in the order in which calls came.
    pub n: u64,
    /// The world's time when it came.
    pub at: Timestamp,
    /// `ssm`.
    pub service: String,
    /// `SendCommand`.
    pub operation: String,
    /// The account.
    pub account: String,
    /// The Region.
    pub region: String,
    /// Whether the operation writes.
    pub writes: bool,
    /// Whether it wrote.
    pub took_effect: bool,
    /// Whether an answer was sent.
    pub answered: bool,
    /// The code that it was refused with.
    pub error: Option<String>,
    /// The machines that it wrote on.
    pub machines: Vec<String>,
    /// Its comment, client token or first tag: what finds it again.
    pub token: Option<String>,
    /// The request id in the answer.
    pub request_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Call(Box<Entry>),
    /// The world's time was moved.
    Clock(Timestamp),
}

/// The log.
#[derive(Debug, Default)]
pub struct CallLog {
    entries: Vec<Entry>,
    file: Option<File>,
    numbered: u64,
    reached: Option<Timestamp>,
}

impl CallLog {
    /// Opens or makes the file. A last line that was cut in two is overwritten.
    ///
    /// # Errors
    /// It cannot be read or written, or is damaged.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let mut log = Self::default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line)? {
                Line::Call(entry) => {
                    log.numbered = log.numbered.max(entry.n);
                    log.reached = log.reached.max(Some(entry.at));
                    log.entries.push(*entry);
                }
                Line::Clock(at) => log.reached = log.reached.max(Some(at)),
            }
        }
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        log.file = Some(file);
        Ok(log)
    }

    /// How far the world's time went, as far as this log knows.
    pub fn reached(&self) -> Option<Timestamp> {
        self.reached
    }

    /// The number of a call that comes now.
    pub fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    /// A call is over.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&mut self, entry: Entry) -> io::Result<()> {
        self.reached = self.reached.max(Some(entry.at));
        let written = self.write(&Line::Call(Box::new(entry.clone())));
        self.entries.push(entry);
        written
    }

    /// The world's time stands here.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note_time(&mut self, at: Timestamp) -> io::Result<()> {
        if self.reached >= Some(at) {
            return Ok(());
        }
        self.reached = Some(at);
        self.write(&Line::Clock(at))
    }

    /// All calls that are over, by number.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = self.entries.clone();
        entries.sort_by_key(|entry| entry.n);
        entries
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        file.write_all(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use jiff::Timestamp;

    use super::{CallLog, Entry};

    #[test]
    fn outlives_a_restart_and_a_cut_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.jsonl");
        let mut log = CallLog::open(&path).unwrap();
        let entry = Entry {
            n: log.number(),
            at: Timestamp::UNIX_EPOCH,
            service: "ssm".into(),
            operation: "SendCommand".into(),
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            writes: true,
            took_effect: true,
            answered: true,
            error: None,
            machines: vec!["i-1".into()],
            token: Some("t".into()),
            request_id: "r".into(),
        };
        log.note(entry.clone()).unwrap();
        log.note_time(Timestamp::from_second(60).unwrap()).unwrap();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"call\":{\"n\":7").unwrap();
        let mut log = CallLog::open(&path).unwrap();
        assert_eq!(log.entries(), [entry]);
        assert_eq!(log.reached(), Timestamp::from_second(60).ok());
        assert_eq!(log.number(), 2);
    }
}
