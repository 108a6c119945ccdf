//! `linux/file`: puts a file in its place on a host.

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};
use serde_json::{Value, json};

use super::{
    host::{Host, each, left_alone},
    job::End,
    stages::{errand, failure},
};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
    fanout::Done,
    ports::linux::{Deed, FileDeed, Verdict},
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required("path", InputKind::String, "Where, from the root."),
            InputDoc::optional("content", InputKind::String, "What it holds.").may_hold_secrets(),
            InputDoc::optional("absent", InputKind::Bool, "`true`: it is not to be there."),
            InputDoc::optional(
                "mode",
                InputKind::String,
                "Its mode, octal, in quotes: `\"0640\"`; absent: as before, or 0644.",
            ),
            InputDoc::optional(
                "owner",
                InputKind::String,
                "`user` or `user:group`; absent: as before, or root.",
            ),
        ],
        exactly_one_of: vec!["content", "absent"],
        effect: EffectDoc::Always(Effect::Unknown),
        outputs: vec![("path", "where it is")],
        ..ActionDoc::new(
            "linux/file",
            "Puts a file in its place on a host, whole or not at all.",
            TimeoutDoc::Fixed(Span::from_mins(30)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct File {
    doc: ActionDoc,
}

impl Default for File {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for File {
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
    let inputs = &host.inputs;
    let path = inputs.required_text("path")?.to_owned();
    if !path.starts_with('/') {
        return Err(left_alone(format!("`{path}` does not begin at the root")));
    }
    let content = match inputs.values.get("absent") {
        Some(Value::Bool(true)) => None,
        _ => Some(inputs.required_text("content")?.to_owned()),
    };
    let text = |name: &str| inputs.text(name).map(str::to_owned);
    let file = FileDeed { path: path.clone(), content, mode: text("mode"), owner: text("owner") };
    match host.job(errand("file", "the change of the file", true), || Deed::File(file)).await? {
        End::Ended(ended) if ended.verdict == Verdict::Done => {
            Ok(Done { outputs: Some(json!({ "path": path })), ..Done::succeeded() })
        }
        End::Ended(ended) => Err(failure(&format!("{path} could not be put in its place"), &ended)),
        End::Stopped | End::Lost { .. } => Err(Failure::unknown(format!(
            "the host went down, or the job was killed, while {path} was put in its place"
        ))),
    }
}
