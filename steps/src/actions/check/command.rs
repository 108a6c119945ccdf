//! `check/command`: a script, on this machine or on the host itself, exits as expected.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind},
    target::Target,
};
use serde_json::Value;

use super::{
    host::{self, FromHost, Means},
    watch::{self, Look, Seen},
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::Context,
    ports::{
        hindrance::Hindrance,
        process::{Program, Progress},
    },
    program::{End, environment, wait},
};

/// A look that takes longer says nothing of now; it is killed and counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its documentation.
pub fn doc() -> ActionDoc {
    super::doc(
        "check/command",
        "Runs a script on this machine, or on the host, until it exits as expected, and then watches that it stays so.",
        vec![
            InputDoc::required(
                "script",
                InputKind::Script,
                "What `sh` runs, again and again: it must not change anything. It finds the machine in RUNBOOK_TARGET_ID, \
                 RUNBOOK_TARGET_NAME and RUNBOOK_TARGET_IP.",
            ),
            InputDoc::defaulting("expect_exit", InputKind::Integer, 0, "The exit code of a healthy machine."),
            host::from(),
        ],
    )
}

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

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        watch::run(ctx, work, |target, inputs| script(ctx, target, inputs)).await
    }
}

fn script(ctx: &Context, target: Option<&Target>, inputs: &Inputs) -> Result<Box<dyn Look>, Failure> {
    let script = Script::of(ctx, target, inputs)?;
    let Some(host) = host::looking(target, inputs)? else { return Ok(Box::new(script)) };
    Ok(Box::new(FromHost {
        host: host.clone(),
        subject: script.subject(),
        script: script.script,
        env: script.env,
        within: PATIENCE,
        means: Means::Code(script.expect),
    }))
}

struct Script {
    /// One for all looks at a machine, since there is only one at a time: the next one finds and removes what a look
    /// that nobody saw the end of has left.
    token: String,
    script: String,
    expect: i64,
    env: BTreeMap<String, String>,
}

impl Script {
    fn of(ctx: &Context, target: Option<&Target>, inputs: &Inputs) -> Result<Self, Failure> {
        let key = target.map_or("", |target| target.id.as_str());
        Ok(Self {
            token: ctx.token(key, "look").to_string(),
            script: inputs.required_text("script")?.to_owned(),
            expect: inputs.values.get("expect_exit").and_then(Value::as_i64).unwrap_or(0),
            env: environment(ctx, target, BTreeMap::new()),
        })
    }

    async fn run(&self, ctx: &Context) -> Result<End, Seen> {
        let process = &ctx.ports.process;
        self.clear(ctx).await.map_err(hindered)?;
        let program = Program {
            token: self.token.clone(),
            command: vec!["/bin/sh".to_owned(), "-c".to_owned(), self.script.clone()],
            env: self.env.clone(),
            looks_for: i32::try_from(self.expect).ok(),
        };
        let started = process.start(program).await;
        started.map_err(|hindrance| Seen::of(&hindrance, could_not_run))?;
        let end = match wait(ctx, &self.token, Some(PATIENCE)).await {
            Ok(end) => end,
            Err(Failure::Detached) => return Err(Seen::Nothing),
            Err(Failure::Failed { cause, .. } | Failure::NeedsPerson { cause }) => {
                return Err(hindered(cause));
            }
        };
        self.clear(ctx).await.map_err(hindered)?;
        Ok(end)
    }

    /// # Errors
    /// Why this machine cannot say what is left of a look.
    async fn clear(&self, ctx: &Context) -> Result<(), String> {
        let process = &ctx.ports.process;
        match process.progress(&self.token).await? {
            Progress::Absent => return Ok(()),
            Progress::Running => process.kill(&self.token).await?,
            Progress::Ended(_) | Progress::Lost => {}
        }
        process.forget(&self.token).await
    }
}

#[async_trait]
impl Look for Script {
    fn subject(&self) -> String {
        "the script".to_owned()
    }

    async fn look(&self, ctx: &Context) -> Result<(), Seen> {
        match self.run(ctx).await? {
            End::Ended(ended) if i64::from(ended.code) == self.expect => Ok(()),
            End::Ended(ended) => Err(Seen::Sick(format!("exited with {}", ended.code))),
            End::Killed(_) => Err(Seen::Sick("did not end by itself".to_owned())),
            End::Lost => Err(Seen::Sick("was killed".to_owned())),
        }
    }
}

/// What this machine keeps of its programs cannot be read or written, so that nothing was seen.
fn hindered(why: impl Into<String>) -> Seen {
    Seen::of(&Hindrance::ours(why), could_not_run)
}

fn could_not_run(why: &str) -> String {
    format!("could not be run ({why})")
}
