//! The one place that prints: data on stdout, the rest on stderr.

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use super::problem::Problem;

/// Where a command's words go.
#[derive(Debug)]
pub struct Screen {
    /// Whether data is JSON.
    pub json: bool,
    /// Whether text on stdout has colours.
    pub color: bool,
    /// Whether text on stderr has colours.
    pub error_color: bool,
    /// Whether a person looks at both streams, so that progress may move.
    pub live: bool,
    /// Whether stdout takes nothing any more.
    closed: AtomicBool,
    /// Whether that is for another reason than that its reader has gone away.
    lost: AtomicBool,
}

impl Screen {
    /// A screen for these wishes; `color` is `None` where nobody said; a `dumb` terminal cannot move its cursor.
    pub fn new(json: bool, color: Option<bool>, dumb: bool) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            json,
            color: color.unwrap_or(out) && !json,
            error_color: color.unwrap_or(err) && !json,
            live: out && err && !json && !dumb,
            closed: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    /// Prints data: text that ends in a line break, or nothing.
    pub fn data(&self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Prints data as it is.
    pub fn bytes(&self, bytes: &[u8]) {
        if self.closed() {
            return;
        }
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            self.closed.store(true, Ordering::Relaxed);
            // A reader that has seen enough (`runbook events | head`) is no error.
            if error.kind() != ErrorKind::BrokenPipe {
                self.lost.store(true, Ordering::Relaxed);
                self.note(&format!("warning: stdout cannot be written: {error}\n"));
            }
        }
    }

    /// Prints a JSON value on one line.
    pub fn json_line(&self, value: &Value) {
        self.data(&format!("{value}\n"));
    }

    /// Prints a JSON document.
    pub fn json_page(&self, value: &Value) {
        self.data(&format!("{value:#}\n"));
    }

    /// Whether nobody reads stdout any more.
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether data was lost.
    pub fn lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Says something beside the data.
    pub fn note(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // Nobody listens: there is nowhere left to say so.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// Says what went wrong.
    pub fn problem(&self, problem: &Problem) {
        if self.json {
            self.note(&format!("{}\n", problem.to_json()));
        } else {
            self.note(&problem.to_text(self.error_color));
        }
    }
}
