//! From bytes to text: encodings, and where lines begin.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Place};

/// The largest file that is read.
pub(super) const LARGEST: usize = 10_000_000;

/// The text of a file, or why it is none, with what of it can be shown.
pub(super) fn decode(source: usize, bytes: &[u8]) -> Result<String, Box<(Diagnostic, String)>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    checked(source, bytes).map_err(|problem| {
        let shown =
            if problem.place == Place::whole(source) { "".into() } else { String::from_utf8_lossy(bytes) };
        Box::new((problem, shown.into_owned()))
    })
}

fn checked(source: usize, bytes: &[u8]) -> Result<String, Diagnostic> {
    if bytes.len() > LARGEST {
        return Err(Diagnostic::error(
            "too-large",
            format!("the file has {} bytes; at most {LARGEST} are read", bytes.len()),
            Place::whole(source),
        )
        .hint("split it with `run: ./file.yaml`"));
    }
    if let Some(name) = wide_encoding(bytes) {
        return Err(Diagnostic::error(
            "wrong-encoding",
            format!("the file is {name}, not UTF-8"),
            Place::whole(source),
        )
        .hint(format!("save it as UTF-8: iconv -f {name} -t UTF-8 FILE")));
    }
    let text = str::from_utf8(bytes).map_err(|error| {
        let valid = str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let byte = bytes[error.valid_up_to()];
        Diagnostic::error(
            "wrong-encoding",
            format!("the byte 0x{byte:02x} is not UTF-8"),
            end_of(source, valid),
        )
        .hint("save the file as UTF-8")
    })?;
    if let Some((at, found)) = text.char_indices().find(|(at, c)| is_refused(*c, &text[*at..])) {
        let place = end_of(source, &text[..at]);
        return Err(match found {
            '\0' => Diagnostic::error("nul-byte", "the file holds a NUL byte", place)
                .hint("take it out; scripts with binary content do not belong into a runbook"),
            '\r' => Diagnostic::error("control-character", "the line ends in a lone carriage return", place)
                .hint("save the file with line feeds"),
            other => Diagnostic::error(
                "control-character",
                format!("the file holds the control character U+{:04X}", u32::from(other)),
                place,
            )
            .hint("take it out, or write it as an escape in double quotes"),
        });
    }
    Ok(text.to_owned())
}

fn wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        // The first character of a runbook is ASCII: a zero beside it means two bytes a character.
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some("UTF-16LE"),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some("UTF-16BE"),
        _ => None,
    }
}

fn is_refused(c: char, rest: &str) -> bool {
    match c {
        '\r' => !rest.starts_with("\r\n"),
        '\t' | '\n' => false,
        _ => c.is_control() && c != '\u{85}',
    }
}

/// The place behind this beginning of a file.
fn end_of(source: usize, before: &str) -> Place {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place { source, line, column, width: 1 }
}

/// How many characters of a long line lie between two that are found at once.
const STRIDE: usize = 256;

/// Where the lines of a text begin, and the characters in them.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// For lines that are not plain ASCII: where every [`STRIDE`]th character stands, from the line's start.
    strides: BTreeMap<usize, Vec<usize>>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut lines = Self { text, starts, strides: BTreeMap::new() };
        for line in 1..=lines.starts.len() {
            let text = lines.line(line);
            if !text.is_ascii() {
                let strides = text.char_indices().step_by(STRIDE).map(|(at, _)| at).collect();
                lines.strides.insert(line, strides);
            }
        }
        lines
    }

    /// A line (from 1) without its end; the empty text behind the last one.
    pub(crate) fn line(&self, line: usize) -> &'t str {
        let Some(&start) = self.starts.get(line.wrapping_sub(1)) else { return "" };
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        self.text[start..end].trim_end_matches('\r')
    }

    /// Where a character stands, in bytes; behind the line's end: at its end.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let Some(&start) = self.starts.get(line.wrapping_sub(1)) else { return self.text.len() };
        let text = self.line(line);
        let index = column.saturating_sub(1);
        let within = match self.strides.get(&line) {
            None => index.min(text.len()),
            Some(strides) => match strides.get(index / STRIDE) {
                None => text.len(),
                Some(stride) => {
                    let mut rest = text[*stride..].char_indices();
                    rest.nth(index % STRIDE).map_or(text.len(), |(at, _)| stride + at)
                }
            },
        };
        start + within
    }

    /// The place of these bytes, as far as they stand on one line.
    pub(crate) fn place(&self, source: usize, start: usize, end: usize) -> Place {
        let index = self.starts.partition_point(|line| *line <= start) - 1;
        let line_start = self.starts[index];
        let line_end = line_start + self.line(index + 1).len();
        Place {
            source,
            line: index + 1,
            column: self.column(index + 1, start - line_start),
            width: self.text[start..end.clamp(start, line_end.max(start))].chars().count().max(1),
        }
    }

    /// The column of a byte of a line.
    fn column(&self, line: usize, within: usize) -> usize {
        match self.strides.get(&line) {
            None => within + 1,
            Some(strides) => {
                let stride = strides.partition_point(|stride| *stride <= within) - 1;
                let from = strides[stride];
                stride * STRIDE + self.line(line)[from..within].chars().count() + 1
            }
        }
    }

    /// A place inside the text: behind the end, it becomes the last line's end.
    pub(crate) fn clamp(&self, mut place: Place) -> Place {
        let last = match self.starts.len() {
            lines if lines > 1 && self.line(lines).is_empty() => lines - 1,
            lines => lines,
        };
        if place.line > last {
            place.line = last;
            place.column = self.line(last).chars().count() + 1;
            place.width = 1;
        }
        place
    }

    pub(crate) fn text(&self) -> &'t str {
        self.text
    }
}
