//! `aws/command`: a script, or a document of Systems Manager, on machines.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{Effect, ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use serde_json::{Value, json};

use super::{
    errand::{Ending, Errand, key, since_then},
    relay::{self, Course, Relay, cut, instances},
    script,
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::Context,
    fanout::Done,
    guard,
    ports::ssm::Invocation,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::optional(
                "script",
                InputKind::Script,
                "What the machine's shell runs, under a guard that makes a doubled delivery run once.",
            ),
            InputDoc::optional("document", InputKind::String, "The Systems Manager document to run instead."),
            InputDoc::optional(
                "parameters",
                InputKind::StringListMap,
                "The document's parameters: lists of texts by name.",
            ),
        ],
        exactly_one_of: vec!["script", "document"],
        effect: EffectDoc::Always(Effect::Unknown),
        repeatable: false,
        rights: vec![
            "ssm:SendCommand",
            "ssm:ListCommands",
            "ssm:ListCommandInvocations",
            "ssm:GetCommandInvocation",
            "ssm:CancelCommand",
            "ssm:DescribeInstanceInformation",
        ],
        outputs: vec![
            ("stdout", "the first 24,000 characters of the output, without white space around them"),
            ("exit_code", "the exit code"),
        ],
        ..ActionDoc::new(
            "aws/command",
            "Runs a script or a document on a machine by Run Command.",
            TimeoutDoc::Fixed(Span::from_hours(1)),
        )
    }
}

/// The only leg.
const RUN: &str = "run";

/// How long a document may run, of which we do not know.
const DOCUMENT_LIMIT: Duration = Duration::from_secs(7200);

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
        let machines = instances(ctx, work).await?;
        let ids: Vec<_> = machines.keys().cloned().collect();
        relay::run(ctx, &ids, Run { ctx: ctx.clone(), machines }).await?;
        Ok(Value::Null)
    }
}

struct Run {
    ctx: Context,
    machines: BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>,
}

/// What a command says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wording {
    home: Home,
    document: String,
    parameters: BTreeMap<String, Vec<String>>,
    guarded: bool,
}

impl Run {
    fn wording(&self, machine: &TargetId) -> Option<Wording> {
        let (target, inputs) = self.machines.get(machine)?;
        let home = target.home.clone();
        let Some(script) = inputs.text("script") else {
            let document = inputs.text("document")?.to_owned();
            let lists = inputs.values.get("parameters").and_then(Value::as_object).into_iter().flatten();
            let parameters = lists.map(|(name, value)| (name.clone(), texts(value))).collect();
            return Some(Wording { home, document, parameters, guarded: false });
        };
        // One guard for all deliveries of this attempt: each machine knows itself.
        let (document, text, guarded) = if target.platform == "windows" {
            ("AWS-RunPowerShellScript", script.to_owned(), false)
        } else {
            ("AWS-RunShellScript", guard::wrap(self.ctx.token("", "guard"), script), true)
        };
        let parameters = BTreeMap::from([("commands".to_owned(), vec![text])]);
        Some(Wording { home, document: document.to_owned(), parameters, guarded })
    }

    fn errand(&self, targets: Vec<TargetId>) -> Option<Errand> {
        let first = targets.first()?;
        let Wording { home, document, mut parameters, guarded } = self.wording(first)?;
        let left = since_then(self.ctx.now(), self.ctx.deadline);
        let mut limit = left.max(DOCUMENT_LIMIT);
        if parameters.contains_key("commands") && document.starts_with("AWS-Run") {
            // Our own deadline ends it; this one is for a machine that we cannot reach any more
            // (facts: Time limits of a command).
            limit = left.clamp(Duration::from_secs(60), Duration::from_secs(172_800));
            parameters.insert("executionTimeout".to_owned(), vec![limit.as_secs().to_string()]);
        }
        Some(Errand {
            key: key(RUN, first),
            leg: RUN,
            home,
            targets,
            document,
            parameters,
            limit,
            repeatable: guarded,
            changes: true,
            reboots: false,
            asks_first: true,
            prints: true,
            alone: false,
            boots: BTreeMap::new(),
            note: None,
        })
    }
}

fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        other => vec![text(other)],
    }
}

impl Course for Run {
    fn found(&self, key: &str, machines: Vec<TargetId>) -> Option<Errand> {
        Some(Errand { key: key.to_owned(), ..self.errand(machines)? })
    }

    fn fresh(&self, machines: Vec<TargetId>) -> Vec<Errand> {
        cut(machines, |machine| self.wording(machine), |some| self.errand(some))
    }

    fn ended(&mut self, _leg: &'static str, machines: Vec<(TargetId, Ending)>, relay: &mut Relay) {
        for (machine, ending) in machines {
            let done = match ending {
                Ending::Ran(part) => Done { outputs: Some(outputs(&part)), report: script::report(&part) },
                Ending::Known(report) => Done::of(report),
                // A delivery is given up behind our own deadline (facts: Time limits of a command), or somebody cancelled it.
                Ending::Unclear(details) => {
                    let cause = format!("nobody can say whether it ran ({details})");
                    Done::of(Report::failed(Outcome::Unknown, ErrorClass::Failed, cause))
                }
            };
            relay.done(machine, done);
        }
    }
}

fn outputs(part: &Invocation) -> Value {
    json!({ "stdout": part.stdout.as_deref().unwrap_or_default().trim(), "exit_code": part.exit_code })
}
