//! `linux/script`: a script on a host, at most once.

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::{Effect, ErrorClass, Outcome},
    run::event::Report,
};
use serde_json::{Value, json};

use super::{
    host::{Host, each},
    job::{End, Errand},
    stages::errand,
};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
    fanout::Done,
    ports::linux::Deed,
    program::environment,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required(
                "script",
                InputKind::Script,
                "What the host runs: POSIX sh, or what its first line (`#!`) says.",
            ),
            InputDoc::optional("env", InputKind::StringMap, "What is added to the environment.")
                .may_hold_secrets(),
            InputDoc::defaulting(
                "as",
                InputKind::Enum(vec!["user", "root"]),
                "user",
                "As who: the user of the connection, or root.",
            ),
        ],
        effect: EffectDoc::Always(Effect::Unknown),
        repeatable: false,
        outputs: vec![
            ("stdout", "the first 24,000 characters of the output, without white space around them"),
            ("exit_code", "the exit code"),
        ],
        ..ActionDoc::new(
            "linux/script",
            "Runs a script on a host, at most once; it goes on when the connection breaks.",
            TimeoutDoc::Fixed(Span::from_hours(1)),
        )
    }
}

/// As much of a script's last words as a cause holds.
const LAST_WORDS: usize = 1_000;

/// What the port gives of standard error at most.
const STDERR: usize = 8_000;

/// The action.
#[derive(Clone, Debug)]
pub struct Script {
    doc: ActionDoc,
}

impl Default for Script {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Script {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        each(ctx, work, |host| async move { course(&host).await }).await
    }
}

async fn course(host: &Host) -> Result<Done, Failure> {
    // What may change the host is one job at a time there: a restore waits for its end, however long it is not heard of.
    let exclusive = host.ctx.effect.may_change();
    let errand = Errand { may_be_ended: true, talks: true, ..errand("script", "the script", exclusive) };
    let inputs = &host.inputs;
    let script = inputs.required_text("script")?.to_owned();
    let deed = || Deed::Script {
        script,
        env: environment(&host.ctx, Some(&host.target), inputs.map("env")),
        as_root: inputs.text("as") == Some("root"),
        looks_for: None,
    };
    let ended = match host.job(errand, deed).await? {
        End::Ended(ended) => ended,
        End::Stopped => {
            return Err(Failure::of(ErrorClass::TimedOut, "the script did not end in time and was ended"));
        }
        End::Lost { rebooted: true } => {
            return Err(Failure::unknown("the host went down while the script ran, and nobody saw its end"));
        }
        End::Lost { rebooted: false } => {
            return Err(Failure::unknown("the script was killed on the host, and nobody saw its end"));
        }
    };
    let report = if ended.code == 0 {
        Report::succeeded()
    } else {
        let words = last_words(&ended.stderr, &ended.cause);
        let words = if words.is_empty() { words } else { format!(": {words}") };
        let cause = format!("the script exited with {}{words}", ended.code);
        Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
    };
    let outputs = json!({ "stdout": ended.stdout.trim(), "exit_code": ended.code });
    Ok(Done { report, outputs: Some(outputs) })
}

/// The last line of standard error; else what the port says.
fn last_words(stderr: &str, cause: &str) -> String {
    // A line that was cut may end in the middle of a secret.
    let cut = stderr.chars().count() >= STDERR;
    let whole = if cut { stderr.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { stderr };
    let last = whole.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or(cause);
    last.chars().take(LAST_WORDS).collect()
}
