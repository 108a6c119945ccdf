//! `runbook check`.

use std::path::PathBuf;

use clap::Args;
use runbook_engine::diagnostic::{self, Severity};
use runbook_steps::catalog::Actions;
use serde_json::{Value, json};

use super::{Done, Session, cases::ENDING, exit::Exit, source};

/// Find everything that is wrong with runbooks, without touching anything
///
/// All problems are reported at once, each with its place and what to do about it. Warnings alone are no failure. Of test
/// files (NAME.test.yaml) it tells what can be told without a world; `runbook test` tells the rest.
#[derive(Debug, Args)]
pub struct Check {
    /// The runbooks and test files; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let catalog = Actions::standard();
        let mut ok = true;
        let mut all = Vec::new();
        for file in &self.files {
            let (sources, found) = if source::name(file).ends_with(ENDING) {
                source::read_tests(file)
            } else {
                let reading = source::read(file).checked(&catalog);
                (reading.sources, reading.diagnostics)
            };
            let errors = found.iter().filter(|each| each.severity == Severity::Error).count();
            ok &= errors == 0;
            if session.screen.json {
                all.extend(found.iter().map(|each| diagnostic::to_json(each, &sources)));
                continue;
            }
            if !found.is_empty() {
                let text = diagnostic::render(&found, &sources, session.screen.color);
                session.screen.data(&format!("{}\n\n", text.trim_end()));
            }
            // The diagnostics end with their number.
            if errors == 0 {
                session.screen.data(&format!("{}: ok\n", source::name(file)));
            }
        }
        if session.screen.json {
            session.screen.json_page(&json!({ "ok": ok, "diagnostics": Value::Array(all) }));
        }
        Ok(if ok { Exit::Succeeded } else { Exit::Invalid })
    }
}
