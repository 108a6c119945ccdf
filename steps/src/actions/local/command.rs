//! `local/command`: a program on this machine.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{Effect, ErrorClass, Outcome},
    run::event::Report,
    target::Target,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, Intent, StopReason},
    fanout::{Done, fan_out},
    ports::process::{Ended, Program, Progress},
    program::{End, environment, wait},
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::optional("script", InputKind::Script, "What `sh` runs."),
            InputDoc::optional(
                "command",
                InputKind::Strings,
                "A program and its arguments, run without a shell.",
            ),
            InputDoc::optional("env", InputKind::StringMap, "What is added to the environment.")
                .may_hold_secrets(),
        ],
        exactly_one_of: vec!["script", "command"],
        effect: EffectDoc::Always(Effect::Unknown),
        targets: TargetsDoc::Optional,
        repeatable: false,
        outputs: vec![
            ("stdout", "the first 24,000 characters of the output, without white space around them"),
            ("exit_code", "the exit code"),
        ],
        ..ActionDoc::new(
            "local/command",
            "Runs a program on this machine, once per target, or once where its step has none.",
            TimeoutDoc::Fixed(Span::from_hours(1)),
        )
    }
}

/// The call, as the journal names it.
const START: &str = "process:start";

/// As much of a program's last words as a cause can hold.
const LAST_WORDS: usize = 200;

/// The action.
#[derive(Clone, Debug)]
pub struct Command {
    doc: ActionDoc,
}

impl Default for Command {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Command {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        if ctx.resumed {
            forget_reported(ctx, &work).await;
            look_up(ctx).await?;
            ctx.ledger.looked_up().await?;
        }
        if work.targets.is_empty() {
            return once(ctx, &work.inputs).await;
        }
        let ids: Vec<_> = work.targets.iter().map(|(target, _)| target.id.clone()).collect();
        let bound = ctx.settings.concurrency;
        let result = fan_out(ctx, work.targets, bound, |target, inputs| {
            let ctx = ctx.clone();
            async move { Ok(run(&ctx, Some(&target), &inputs).await?.done()) }
        })
        .await;
        if result.is_ok() {
            // Their reports are durable: nobody will ask for what they printed again.
            for id in ids {
                forget(ctx, &token(ctx, id.as_str())).await;
            }
        }
        result.map(|()| Value::Null)
    }
}

/// The task without targets. Its result is kept in a checkpoint before the program's traces are deleted, since it is
/// journaled only after this returned.
async fn once(ctx: &Context, inputs: &Inputs) -> Result<Value, Failure> {
    let ran = match ctx.recall("").cloned().and_then(|kept| serde_json::from_value(kept).ok()) {
        Some(ran) => ran,
        None => {
            let ran = run(ctx, None, inputs).await?;
            let kept = serde_json::to_value(&ran).map_err(|error| Failure::failed(error.to_string()))?;
            ctx.ledger.checkpoint("", kept).await?;
            ran
        }
    };
    forget(ctx, &token(ctx, "")).await;
    match ran.failure() {
        None => Ok(ran.outputs()),
        Some((outcome, class, cause)) => {
            ctx.ledger.outputs(BTreeMap::from([(TargetId::from(""), ran.outputs())])).await?;
            Err(Failure::Failed { outcome, class, cause })
        }
    }
}

/// What a program left, as a checkpoint keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ran {
    code: i32,
    stdout: String,
    last_words: String,
    in_time: bool,
    ended_at: Option<Timestamp>,
}

impl Ran {
    fn of(ended: Ended, in_time: bool) -> Self {
        let last =
            ended.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Self {
            code: ended.code,
            stdout: ended.stdout.trim().to_owned(),
            last_words: last.chars().take(LAST_WORDS).collect(),
            in_time,
            ended_at: ended.ended_at,
        }
    }

    fn outputs(&self) -> Value {
        json!({ "stdout": self.stdout, "exit_code": self.code })
    }

    fn failure(&self) -> Option<(Outcome, ErrorClass, String)> {
        if !self.in_time {
            let cause = "the program did not end in time and was killed".to_owned();
            return Some((Outcome::TimedOut, ErrorClass::TimedOut, cause));
        }
        let words = if self.last_words.is_empty() { String::new() } else { format!(": {}", self.last_words) };
        let cause = format!("the program exited with {}{words}", self.code);
        (self.code != 0).then_some((Outcome::Failed, ErrorClass::Failed, cause))
    }

    fn done(&self) -> Done {
        let mut report = match self.failure() {
            None => Report::succeeded(),
            Some((outcome, class, cause)) => Report::failed(outcome, class, cause),
        };
        report.finished_at = self.ended_at;
        Done { report, outputs: Some(self.outputs()) }
    }
}

/// Runs the program for one machine (or for none), or takes up the one that an earlier life started.
async fn run(ctx: &Context, target: Option<&Target>, inputs: &Inputs) -> Result<Ran, Failure> {
    let key = target.map_or("", |target| target.id.as_str());
    let token = token(ctx, key);
    let process = &ctx.ports.process;
    // A first life need not ask: the token is its own.
    let known = ctx.memory.intents.contains_key(key);
    let started = known && process.progress(&token).await.map_err(Failure::unknown)? != Progress::Absent;
    if !started {
        not_stopping(ctx)?;
        let program = Program {
            token: token.clone(),
            command: command(inputs)?,
            env: environment(ctx, target, inputs.map("env")),
        };
        if !known {
            let targets = target.iter().map(|target| target.id.clone()).collect();
            let intent = Intent { key: key.to_owned(), call: START, token: token.clone(), targets };
            ctx.ledger.intent(intent).await?;
        }
        let started = process.start(program).await;
        started.map_err(|why| not_started(&format!("the program could not be started: {why}")))?;
    }
    match wait(ctx, &token, None).await? {
        End::Ended(ended) => Ok(Ran::of(ended, true)),
        End::Killed(Some(ended)) => Ok(Ran::of(ended, false)),
        End::Killed(None) => {
            Err(Failure::of(ErrorClass::TimedOut, "the program did not end in time and was killed"))
        }
        End::Lost => Err(Failure::unknown(
            "the program was started, and nobody saw its end: this machine went down while it ran",
        )),
    }
}

/// A machine whose turn comes when the attempt must stop already is left alone.
fn not_stopping(ctx: &Context) -> Result<(), Failure> {
    match ctx.stopping() {
        StopReason::None => Ok(()),
        StopReason::TimedOut => Err(not_started("the time was over before the program was started")),
        StopReason::Cancelled => Err(not_started("the run was cancelled before the program was started")),
        StopReason::Detach => Err(Failure::Detached),
    }
}

/// A failure whose class says that nothing was applied.
fn not_started(cause: &str) -> Failure {
    Failure::of(ErrorClass::Undeliverable, cause)
}

fn command(inputs: &Inputs) -> Result<Vec<String>, Failure> {
    let command = match inputs.text("script") {
        Some(script) => vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
        None => inputs.texts("command"),
    };
    if command.is_empty() {
        return Err(Failure::failed("one of the inputs `script` and `command` must say what to run"));
    }
    Ok(command)
}

fn token(ctx: &Context, key: &str) -> String {
    ctx.token(key, START).to_string()
}

/// Asks for everything that earlier lives may have started: only then may the attempt be judged by its deadline.
async fn look_up(ctx: &Context) -> Result<(), Failure> {
    for (key, intent) in &ctx.memory.intents {
        if let Err(why) = ctx.ports.process.progress(&intent.token).await {
            let about = if key.is_empty() { String::new() } else { format!(" for {key}") };
            return Err(Failure::unknown(format!("nobody can say how the program{about} stands: {why}")));
        }
    }
    Ok(())
}

/// What earlier lives started for machines that they also reported.
async fn forget_reported(ctx: &Context, work: &Work) {
    if work.targets.is_empty() {
        return;
    }
    let open: BTreeSet<_> = work.targets.iter().map(|(target, _)| target.id.as_str()).collect();
    for (key, intent) in &ctx.memory.intents {
        if !open.contains(key.as_str()) {
            forget(ctx, &intent.token).await;
        }
    }
}

/// Only tidying up: what cannot be deleted does no harm.
async fn forget(ctx: &Context, token: &str) {
    if let Err(why) = ctx.ports.process.forget(token).await {
        tracing::warn!(token, why, "the traces of a program could not be deleted");
    }
}
