//! `check/log`: a host's log has no line that it should not have.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TargetsDoc},
    target::Target,
};
use serde_json::Value;

use super::{
    host::not_looked,
    watch::{self, Look, Seen},
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::Context,
    ports::{
        fault::FaultKind,
        linux::{Log as Source, LogAsked},
    },
};

/// As much of a line as a cause holds. What is cut is as long as this, which is where the journal begins to look for
/// secrets that were cut too.
const LINE: usize = 1_000;

/// Lines that are asked for: the first one is told, and how many follow.
const MOST: u32 = 100;

/// An answer that takes longer says nothing of now.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its documentation.
pub fn doc() -> ActionDoc {
    let doc = super::doc(
        "check/log",
        "Looks for lines in a log of the host that were written since its patch began, and should not be there.",
        vec![
            InputDoc::optional("unit", InputKind::String, "The unit whose lines in journald are read."),
            InputDoc::optional(
                "file",
                InputKind::String,
                "The file that is read, and the one with `.1` at its end; its lines begin with a time.",
            ),
            InputDoc::required(
                "patterns",
                InputKind::Strings,
                "Extended regular expressions: no line may match one of them.",
            ),
            InputDoc::optional("except", InputKind::Strings, "Lines that match one of these are fine."),
            InputDoc::optional(
                "expect",
                InputKind::Strings,
                "Extended regular expressions: by `within`, each must match a line.",
            ),
            InputDoc::optional(
                "since",
                InputKind::StepRef,
                "The step since whose start on this machine lines count; absent: the first that changes it, and after a \
                 restore the restore.",
            ),
        ],
    );
    ActionDoc { exactly_one_of: vec!["unit", "file"], targets: TargetsDoc::Required, ..doc }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Log {
    doc: ActionDoc,
}

impl Default for Log {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Log {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        watch::run(ctx, work, |target, inputs| Lines::of(ctx, target, inputs)).await
    }
}

struct Lines {
    host: Target,
    source: Source,
    since: Timestamp,
    patterns: Vec<String>,
    except: Vec<String>,
    expect: Vec<String>,
}

impl Lines {
    fn of(ctx: &Context, target: Option<&Target>, inputs: &Inputs) -> Result<Self, Failure> {
        let host =
            target.ok_or_else(|| Failure::failed("a log is looked at on a host: the step needs targets"))?;
        let source = match (inputs.text("file"), inputs.text("unit")) {
            (Some(path), _) => Source::File { path: path.to_owned() },
            (None, unit) => Source::Journal { unit: unit.map(str::to_owned) },
        };
        let since = match inputs.text("since") {
            // The coordinator knows when each machine's patch began, and says so in place of the step.
            Some(at) => at.parse().map_err(|_| {
                Failure::failed(format!(
                    "the step `{at}`, which `since` names, did not begin on {}",
                    host.name
                ))
            })?,
            None => ctx.stage_began,
        };
        Ok(Self {
            host: host.clone(),
            source,
            since,
            patterns: inputs.texts("patterns"),
            except: inputs.texts("except"),
            expect: inputs.texts("expect"),
        })
    }

    async fn ask(
        &self,
        ctx: &Context,
        patterns: &[String],
        except: &[String],
        wanted: bool,
    ) -> Result<Vec<String>, Seen> {
        let asked = LogAsked {
            log: self.source.clone(),
            since: self.since,
            patterns: patterns.to_vec(),
            except: except.to_vec(),
            most: MOST,
            wanted,
        };
        let lines = tokio::select! {
            biased;
            lines = ctx.ports.linux.log(&self.host, &asked) => lines,
            () = ctx.ports.clock.sleep(PATIENCE) => return Err(Seen::Sick("could not be read in time".to_owned())),
        };
        lines.map_err(|fault| match fault.kind {
            // A file may come with the service's first line, or be away for the moment of its rotation.
            FaultKind::NotFound if matches!(self.source, Source::File { .. }) => {
                Seen::Sick(format!("cannot be read: {}", fault.message))
            }
            FaultKind::NotFound => Seen::Final(format!("cannot be read: {}", fault.message)),
            _ => not_looked(fault),
        })
    }
}

#[async_trait]
impl Look for Lines {
    fn subject(&self) -> String {
        let name = &self.host.name;
        match &self.source {
            Source::File { path } => format!("{path} of {name}"),
            Source::Journal { unit: Some(unit) } => format!("the journal of {unit} of {name}"),
            Source::Journal { unit: None } => format!("the journal of {name}"),
        }
    }

    async fn look(&self, ctx: &Context) -> Result<(), Seen> {
        let lines = if self.patterns.is_empty() {
            Vec::new()
        } else {
            self.ask(ctx, &self.patterns, &self.except, false).await?
        };
        if let Some(first) = lines.first() {
            let first: String = first.trim().chars().take(LINE).collect();
            let more = match lines.len() - 1 {
                0 => String::new(),
                1 => " (and 1 more line)".to_owned(),
                more if more + 1 >= MOST as usize => format!(" (and {more} or more lines)"),
                more => format!(" (and {more} more lines)"),
            };
            // What was written stays written.
            return Err(Seen::Final(format!("has since {} the line `{first}`{more}", self.since)));
        }
        for expected in &self.expect {
            if self.ask(ctx, std::slice::from_ref(expected), &[], true).await?.is_empty() {
                return Err(Seen::Sick(format!(
                    "has no line since {} that matches `{expected}`",
                    self.since
                )));
            }
        }
        Ok(())
    }
}
