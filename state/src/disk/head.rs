//! The file `HEAD`: how far each run was acknowledged.
//!
//! It is rewritten in place after each batch and synced at pause and end, so after a power cut it may be behind the
//! journal, which is harmless; a journal behind it has lost something.
//!
//! Each run has two lines of 192 bytes in the order in which the runs began, written in turn, so that a torn
//! write spoils the newer one only and the older one still stands:
//!
//! ```text
//! 7k2m SEQ COMMIT HASH SUM
//! ```
//!
//! padded with blanks before SUM, the first 16 hex digits of the SHA-256 of everything before it. A run's lines are
//! first written, and synced, before its first batch, with SEQ 0: so every run of the journal is in HEAD.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt as _};

use runbook_engine::ids::RunId;
use sha2::{Digest as _, Sha256};

use super::{Head, folder::Folder};
use crate::{chain, error::StoreError};

/// The length of a line, its line feed included.
pub(crate) const LINE: usize = 192;

const SUM: usize = 16;

/// The open file.
#[derive(Debug)]
pub(crate) struct HeadFile {
    file: File,
    found: BTreeMap<RunId, Head>,
    places: BTreeMap<RunId, Place>,
}

/// Where a run's lines are.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Counted in pairs of lines.
    pair: u64,
    /// Which of the two is written next.
    second: bool,
}

impl HeadFile {
    pub(crate) fn open(folder: &Folder) -> Result<Self, StoreError> {
        let path = folder.path().join("HEAD");
        let error = |error| folder.io("opening HEAD", error);
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(error)?;
        let bytes = std::fs::read(&path).map_err(error)?;
        let mut head = Self { file, found: BTreeMap::new(), places: BTreeMap::new() };
        for (pair, lines) in (0..).zip(bytes.chunks(2 * LINE)) {
            let (first, second) = lines.split_at(lines.len().min(LINE));
            let (run, head_of_run, newer_is_second) = match (read(first), read(second)) {
                (Some((run, one)), Some((other, two))) if run == other => {
                    if two.commit > one.commit {
                        (run, two, true)
                    } else {
                        (run, one, false)
                    }
                }
                (Some((run, one)), None) => (run, one, false),
                (None, Some((run, two))) => (run, two, true),
                // What was being announced when the power went: two lines are written at once and synced.
                (None, None) if (pair + 1) * 2 * LINE as u64 >= bytes.len() as u64 => continue,
                _ => {
                    return Err(StoreError::HeadLost {
                        path: folder.name().to_owned(),
                        what: format!("is damaged (lines {} and {})", 2 * pair + 1, 2 * pair + 2),
                    });
                }
            };
            head.places.insert(run.clone(), Place { pair, second: !newer_is_second });
            head.found.insert(run, head_of_run);
        }
        Ok(head)
    }

    /// How far each run was acknowledged when the file was opened.
    pub(crate) fn found(&self) -> &BTreeMap<RunId, Head> {
        &self.found
    }

    /// Gives the run its lines, and syncs them.
    pub(crate) fn announce(&mut self, run: &RunId) -> io::Result<()> {
        let next = self.places.values().map(|place| place.pair + 1).max().unwrap_or(0);
        let place = *self.places.entry(run.clone()).or_insert(Place { pair: next, second: true });
        let line = line(run, Head { seq: 0, commit: 0, hash: chain::BEGINNING })?;
        self.file.write_all_at(&[line, line].concat(), place.pair * 2 * LINE as u64)?;
        self.file.sync_all()
    }

    /// Rewrites one of the run's lines.
    pub(crate) fn note(&mut self, run: &RunId, head: Head) -> io::Result<()> {
        let Some(place) = self.places.get_mut(run) else {
            return Err(io::Error::other("the run was not announced"));
        };
        let number = place.pair * 2 + u64::from(place.second);
        self.file.write_all_at(&line(run, head)?, number * LINE as u64)?;
        place.second = !place.second;
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn line(run: &RunId, head: Head) -> io::Result<[u8; LINE]> {
    let text = format!("{run} {} {} {}", head.seq, head.commit, chain::hex(&head.hash));
    if text.len() > LINE - SUM - 2 {
        return Err(io::Error::other("the run's id is too long"));
    }
    let mut line = [b' '; LINE];
    line[..text.len()].copy_from_slice(text.as_bytes());
    let sum = sum(&line[..LINE - SUM - 1]);
    line[LINE - SUM - 1..LINE - 1].copy_from_slice(sum.as_bytes());
    line[LINE - 1] = b'\n';
    Ok(line)
}

fn read(line: &[u8]) -> Option<(RunId, Head)> {
    let (text, rest) = line.split_at_checked(LINE - SUM - 1)?;
    let (given, end) = rest.split_at_checked(SUM)?;
    if end != b"\n" || given != sum(text).as_bytes() {
        return None;
    }
    let mut words = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
    let run = RunId::new(words.next()?);
    let seq = words.next()?.parse().ok()?;
    let commit = words.next()?.parse().ok()?;
    let hash = chain::unhex(words.next()?)?;
    Some((run, Head { seq, commit, hash }))
}

fn sum(text: &[u8]) -> String {
    chain::hex(&Sha256::digest(text).into())[..SUM].to_owned()
}
