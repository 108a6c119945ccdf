//! The action of the bench: each step appends its number to a file that stays open.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc, Unit},
    duration::Span,
};
use runbook_steps::{
    action::{Action, Failure, Work},
    context::Context,
};
use rustix::process::{Signal, getpgrp, kill_process_group};
use serde_json::Value;

/// Appends the number of its step to the file of effects.
pub struct Append {
    doc: ActionDoc,
    path: PathBuf,
    file: Arc<Mutex<File>>,
    kill: Option<u64>,
    notes: u64,
}

impl Append {
    /// Appends to this file; the step `kill` ends the process group after its effect. Each leaves so many checkpoints.
    pub fn new(path: &Path, kill: Option<u64>, notes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let doc = ActionDoc {
            inputs: vec![InputDoc::required("number", InputKind::Integer, "The number of the step.")],
            targets: TargetsDoc::Never,
            unit: Unit::Once,
            repeatable: false,
            ..ActionDoc::new(
                "bench/append",
                "Appends its number to a file.",
                TimeoutDoc::Fixed(Span::from_hours(1)),
            )
        };
        Ok(Self { doc, path: path.to_owned(), file: Arc::new(Mutex::new(file)), kill, notes })
    }

    /// Whether an earlier life of this step left its number: what an action looks up after a crash.
    fn applied(&self, number: u64) -> io::Result<bool> {
        let text = std::fs::read_to_string(&self.path)?;
        Ok(text.lines().any(|line| line.parse() == Ok(number)))
    }

    fn append(&self, number: u64) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{number}\n").as_bytes())
    }
}

#[async_trait]
impl Action for Append {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        let number = work.inputs.integer("number").ok_or_else(|| Failure::failed("it has no number"))?;
        let done = ctx.resumed && self.applied(number).map_err(failed)?;
        if ctx.resumed {
            ctx.ledger.looked_up().await?;
        }
        for note in 0..self.notes {
            ctx.ledger.checkpoint(&format!("note-{note}"), Value::from(number)).await?;
        }
        if !done {
            self.append(number).map_err(failed)?;
        }
        if self.kill == Some(number) {
            kill_process_group(getpgrp(), Signal::KILL).map_err(|error| failed(error.into()))?;
        }
        Ok(Value::Null)
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::failed(error.to_string())
}
