//! `runbook check`.

use std::path::PathBuf;

use clap::Args;
use runbook_engine::diagnostic::{self, Severity};
use serde_json::{Value, json};

use super::{Done, Session, exit::Exit, source};

/// Find everything that is wrong with runbooks, without touching anything
///
/// All problems are reported at once, each with its place and what to do about it. Warnings alone are no failure.
#[derive(Debug, Args)]
pub struct Check {
    /// The runbooks; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let mut ok = true;
        let mut all = Vec::new();
        for file in &self.files {
            let reading = source::read(file);
            let mut found = reading.diagnostics;
            found.sort_by_key(|each| each.place);
            let errors = found.iter().filter(|each| each.severity == Severity::Error).count();
            ok &= errors == 0;
            if session.screen.json {
                all.extend(found.iter().map(|each| diagnostic::to_json(each, &reading.sources)));
                continue;
            }
            if !found.is_empty() {
                let text = diagnostic::render(&found, &reading.sources, session.screen.color);
                session.screen.data(&format!("{}\n\n", text.trim_end()));
            }
            session.screen.data(&verdict(&source::name(file), errors, found.len() - errors));
        }
        if session.screen.json {
            session.screen.json_page(&json!({ "ok": ok, "diagnostics": Value::Array(all) }));
        }
        Ok(if ok { Exit::Succeeded } else { Exit::Invalid })
    }
}

/// `patch-linux.yaml: 2 errors, 1 warning`.
fn verdict(file: &str, errors: usize, warnings: usize) -> String {
    let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    match (errors, warnings) {
        (0, 0) => format!("{file}: ok\n"),
        (0, w) => format!("{file}: ok, {}\n", count(w, "warning")),
        (e, 0) => format!("{file}: {}\n", count(e, "error")),
        (e, w) => format!("{file}: {}, {}\n", count(e, "error"), count(w, "warning")),
    }
}
