//! `local/command`: a program on this machine.

use std::collections::BTreeMap;

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
    ports::{
        hindrance::Hindrance,
        process::{Ended, Program, Progress},
    },
    program::{End, environment, unseen, wait},
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

/// As much of a program's last words as a cause holds. What is cut is as long as this, which is where the journal begins
/// to look for secrets that were cut too.
const LAST_WORDS: usize = 1_000;

/// What the port gives of standard error at most.
const STDERR: usize = 8_000;

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
            look_up(ctx).await?;
            ctx.ledger.looked_up().await?;
        }
        if work.targets.is_empty() {
            return once(ctx, &work.inputs).await;
        }
        let bound = ctx.settings.concurrency;
        fan_out(ctx, work.targets, bound, |target, inputs| {
            let ctx = ctx.clone();
            async move { Ok(run(&ctx, Some(&target), &inputs).await?.done()) }
        })
        .await?;
        Ok(Value::Null)
    }
}

/// The task without targets.
async fn once(ctx: &Context, inputs: &Inputs) -> Result<Value, Failure> {
    let ran = run(ctx, None, inputs).await?;
    if let Some(at) = ran.ended_at {
        ctx.ledger.finished_at(at);
    }
    let outputs = ran.outputs();
    match ran.failure() {
        None => Ok(outputs.unwrap_or_default()),
        Some((outcome, class, cause)) => {
            if let Some(outputs) = outputs {
                ctx.ledger.outputs(BTreeMap::from([(TargetId::from(""), outputs)])).await?;
            }
            Err(Failure::Failed { outcome, class, cause })
        }
    }
}

/// What a program left, as a checkpoint keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ran {
    how: How,
    /// Absent where nobody saw it.
    code: Option<i32>,
    stdout: String,
    last_words: String,
    ended_at: Option<Timestamp>,
}

/// How a program came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Exited,
    Killed,
    Lost,
}

impl Ran {
    fn of(end: End) -> Self {
        let (how, ended) = match end {
            End::Ended(ended) => (How::Exited, Some(ended)),
            End::Killed(ended) => (How::Killed, ended),
            End::Lost => (How::Lost, None),
        };
        let Some(Ended { code, stdout, stderr, ended_at }) = ended else {
            let nothing = String::new();
            return Self { how, code: None, stdout: nothing.clone(), last_words: nothing, ended_at: None };
        };
        // A line that was cut may end in the middle of a secret.
        let cut = stderr.chars().count() >= STDERR;
        let whole = if cut { stderr.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { &stderr };
        let last = whole.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Self {
            how,
            code: Some(code),
            stdout: stdout.trim().to_owned(),
            last_words: last.chars().take(LAST_WORDS).collect(),
            ended_at,
        }
    }

    fn outputs(&self) -> Option<Value> {
        self.code.map(|code| json!({ "stdout": self.stdout, "exit_code": code }))
    }

    fn failure(&self) -> Option<(Outcome, ErrorClass, String)> {
        let (outcome, class, cause) = match (self.how, self.code) {
            (How::Exited, Some(0)) => return None,
            (How::Exited, code) => {
                let code = code.map_or_else(String::new, |code| format!(" with {code}"));
                let words = &self.last_words;
                let words = if words.is_empty() { String::new() } else { format!(": {words}") };
                (Outcome::Failed, ErrorClass::Failed, format!("the program exited{code}{words}"))
            }
            (How::Killed, _) => {
                let cause = "the program did not end in time and was killed".to_owned();
                (Outcome::TimedOut, ErrorClass::TimedOut, cause)
            }
            (How::Lost, _) => {
                let cause =
                    "the program was started, and nobody saw its end: this machine went down while it ran";
                (Outcome::Unknown, ErrorClass::Failed, cause.to_owned())
            }
        };
        Some((outcome, class, cause))
    }

    fn done(&self) -> Done {
        let mut report = match self.failure() {
            None => Report::succeeded(),
            Some((outcome, class, cause)) => Report::failed(outcome, class, cause),
        };
        report.finished_at = self.ended_at;
        Done { report, outputs: self.outputs() }
    }
}

/// Runs the program for one machine (or for none), or takes up the one that an earlier life started. What it left is in
/// a checkpoint when this returns, and nowhere else: what it printed may hold secrets, which the journal masks.
async fn run(ctx: &Context, target: Option<&Target>, inputs: &Inputs) -> Result<Ran, Failure> {
    let key = target.map_or("", |target| target.id.as_str());
    let token = ctx.token(key, START).to_string();
    let kept = ctx.recall(key).and_then(|kept| serde_json::from_value(kept.clone()).ok());
    let ran = match kept {
        Some(ran) => ran,
        None => {
            start(ctx, key, &token, target, inputs).await?;
            let ran = Ran::of(wait(ctx, &token, None).await?);
            let kept = serde_json::to_value(&ran).map_err(|error| Failure::failed(error.to_string()))?;
            ctx.ledger.checkpoint(key, kept).await?;
            ran
        }
    };
    if let Err(why) = ctx.ports.process.forget(&token).await {
        // Nobody will ask for it again.
        tracing::warn!(token, why, "the traces of a program could not be deleted");
    }
    Ok(ran)
}

/// Starts the program, unless an earlier life did.
async fn start(
    ctx: &Context,
    key: &str,
    token: &str,
    target: Option<&Target>,
    inputs: &Inputs,
) -> Result<(), Failure> {
    let process = &ctx.ports.process;
    // A first life need not ask: the token is its own.
    let known = ctx.memory.intents.contains_key(key);
    let unseen = |why: String| unseen("the program", &why);
    if known && process.progress(token).await.map_err(unseen)? != Progress::Absent {
        return Ok(());
    }
    not_stopping(ctx)?;
    let program = Program {
        token: token.to_owned(),
        command: command(inputs)?,
        env: environment(ctx, target, inputs.map("env")),
        looks_for: None,
    };
    if !known {
        let targets = target.iter().map(|target| target.id.clone()).collect();
        let (key, token) = (key.to_owned(), token.to_owned());
        let intent = Intent { key, call: START, token, targets, makes: None };
        ctx.ledger.intent(intent).await?;
    }
    let started = process.start(program).await;
    started.map_err(|Hindrance { why, ours }| {
        let cause = format!("the program could not be started: {why}");
        // Not a word about the machine that it is for: the run waits until this one has what it needs.
        if ours { Failure::NeedsPerson { cause } } else { not_started(&cause) }
    })
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

/// Asks for everything that earlier lives may have started: only then may the attempt be judged by its deadline.
async fn look_up(ctx: &Context) -> Result<(), Failure> {
    for (key, intent) in &ctx.memory.intents {
        if let Err(why) = ctx.ports.process.progress(&intent.token).await {
            let about = if key.is_empty() { String::new() } else { format!(" for {key}") };
            return Err(unseen(&format!("the program{about}"), &why));
        }
    }
    Ok(())
}
