//! `run:`: a block, or another file.

use std::collections::BTreeMap;

use super::Decoder;
use crate::{
    diagnostic::{Diagnostic, Place},
    document::{
        model::{Runbook, Spanned, What},
        parse::parse,
        text::{self, Lines},
    },
    loader::Loader,
};

/// How deep files may run each other.
const DEEPEST: usize = 16;
/// How many files a runbook may run, counted as often as they are run.
const MOST: usize = 256;

/// The files of one document.
pub(in crate::document) struct Files<'l> {
    pub(in crate::document) loader: &'l dyn Loader,
    /// Name and text, the entry first.
    pub(in crate::document) sources: Vec<(String, String)>,
    /// What was read already, by path; how many files each runs.
    read: BTreeMap<String, Option<(Runbook, usize)>>,
    /// The files that are being read.
    open: Vec<String>,
    run: usize,
}

impl<'l> Files<'l> {
    pub(in crate::document) fn new(loader: &'l dyn Loader) -> Self {
        Self { loader, sources: Vec::new(), read: BTreeMap::new(), open: Vec::new(), run: 0 }
    }

    /// The entry: what it runs is relative to its folder.
    pub(in crate::document) fn begin(&mut self, name: &str, text: String) {
        self.sources.push((name.to_owned(), text));
        self.open.push(name.rsplit('/').next().unwrap_or(name).to_owned());
    }

    /// The folder of a path, with its slash.
    fn folder(path: &str) -> &str {
        path.rfind('/').map_or("", |slash| &path[..=slash])
    }
}

/// Whether `run:` names a file rather than a block.
pub(in crate::document) fn is_file(run: &str) -> bool {
    run.contains('/') || run.ends_with(".yaml") || run.ends_with(".yml")
}

/// A path without `.` and without `..` that something stands before.
fn normalised(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Decoder<'_, '_> {
    pub(super) fn composite(&mut self, run: Spanned<String>) -> What {
        if !is_file(&run.value) {
            return What::Block(run);
        }
        let runbook = self.file(&run).map(Box::new);
        What::File { path: run, runbook }
    }

    fn file(&mut self, run: &Spanned<String>) -> Option<Runbook> {
        let refused = |code, message: String| Some(Diagnostic::error(code, message, run.place));
        let within = self.files.open.last().map_or("", |open| Files::folder(open));
        let path = normalised(&format!("{within}{}", run.value));
        let problem = if run.value.starts_with('/') || run.value.contains('\0') {
            refused("file-path", format!("`{}` is not relative to the runbook", run.value.escape_debug()))
        } else if let Some(at) = self.files.open.iter().position(|open| *open == path) {
            let mut cycle: Vec<&str> = self.files.open[at..].iter().map(String::as_str).collect();
            cycle.push(&path);
            refused("file-cycle", format!("the file runs itself: {}", cycle.join(" → ")))
        } else if self.files.open.len() >= DEEPEST {
            refused("too-deep", format!("files run each other more than {DEEPEST} deep"))
        } else {
            None
        };
        if let Some(problem) = problem {
            self.report(problem);
            return None;
        }
        let before = self.files.run;
        let runbook = match self.files.read.get(&path) {
            Some(None) => return None,
            Some(Some((runbook, runs))) => {
                self.files.run += runs;
                if self.files.run > MOST { None } else { Some(runbook.clone()) }
            }
            None => {
                self.files.run += 1;
                if self.files.run > MOST {
                    None
                } else {
                    let runbook = self.load(&path, run.place);
                    let entry = runbook.clone().map(|runbook| (runbook, self.files.run - before));
                    self.files.read.insert(path, entry);
                    return runbook;
                }
            }
        };
        if runbook.is_none() {
            self.report(
                Diagnostic::error(
                    "too-many-files",
                    format!("the runbook runs more than {MOST} files"),
                    run.place,
                )
                .hint("a block can be run again and again"),
            );
        }
        runbook
    }

    fn load(&mut self, path: &str, place: Place) -> Option<Runbook> {
        let bytes = match self.files.loader.load(path) {
            Ok(bytes) => bytes,
            Err(reason) => {
                let message = format!("`{path}` cannot be read: {reason}");
                self.report(Diagnostic::error("file-unreadable", message, place));
                return None;
            }
        };
        let source = self.files.sources.len();
        let name = format!("{}{path}", Files::folder(&self.files.sources[0].0));
        let text = match text::decode(source, &bytes) {
            Ok(text) => text,
            Err(refused) => {
                let (problem, shown) = *refused;
                self.files.sources.push((name, shown));
                self.report(problem);
                return None;
            }
        };
        self.files.sources.push((name, text.clone()));
        let lines = Lines::of(&text);
        let root = parse(source, &lines, self.problems)?;
        self.files.open.push(path.to_owned());
        let runbook = Decoder::new(source, &lines, self.problems, self.files, true).runbook(&root);
        self.files.open.pop();
        runbook
    }
}
