//! `notify/webhook`: tells another system by HTTP.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc, Unit},
    duration::Span,
    outcome::ErrorClass,
};
use serde_json::{Value, json};

use crate::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, Intent},
    ports::{hindrance::Hindrance, http::Request},
};

/// Well below the time that a process has to stop in: a call in progress is always waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required("url", InputKind::Url, "Where to POST.").may_hold_secrets(),
            InputDoc::optional(
                "body",
                InputKind::Any,
                "A text, sent as it is, or anything else, sent as JSON; absent: the run and the step.",
            )
            .may_hold_secrets(),
            InputDoc::optional("headers", InputKind::StringMap, "Headers to send.").may_hold_secrets(),
        ],
        targets: TargetsDoc::Never,
        unit: Unit::Once,
        ..ActionDoc::new(
            "notify/webhook",
            "Sends a POST; an answer of 200 to 299 is success. After a crash it may be sent again, with the same \
             Idempotency-Key header.",
            TimeoutDoc::Fixed(Span::from_mins(1)),
        )
    }
}

/// The action. The notifications of a runbook's `notify:` are sent by it too, with a body that says more.
#[derive(Clone, Debug)]
pub struct Webhook {
    doc: ActionDoc,
}

impl Default for Webhook {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Webhook {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        // Nothing can be looked up: without a checkpoint it is sent again, with the same Idempotency-Key.
        if ctx.resumed {
            ctx.ledger.looked_up().await?;
        }
        if let Some(sent) = ctx.recall("") {
            if let Some(at) = sent["at"].as_str().and_then(|at| at.parse().ok()) {
                ctx.ledger.finished_at(at);
            }
            return Ok(Value::Null);
        }
        let token = ctx.token("", "http:POST").to_string();
        let request = request(ctx, &work.inputs, &token)?;
        let (key, targets) = (String::new(), Vec::new());
        let intent = Intent { key, call: "http:POST", token, targets, makes: None };
        ctx.ledger.intent(intent).await?;
        // The URL may be the secret itself, so no cause names it.
        match ctx.ports.http.request(request).await {
            Ok(status @ 200..=299) => {
                ctx.ledger.checkpoint("", json!({ "status": status, "at": ctx.now() })).await?;
                Ok(Value::Null)
            }
            Ok(status @ (429 | 500..)) => {
                Err(Failure::of(ErrorClass::Transient, format!("the webhook answered {status}")))
            }
            Ok(status) => Err(Failure::failed(format!("the webhook answered {status}"))),
            Err(Hindrance { why, ours }) => {
                let cause = format!("the webhook gave no answer: {why}");
                Err(if ours {
                    Failure::NeedsPerson { cause }
                } else {
                    Failure::of(ErrorClass::Transient, cause)
                })
            }
        }
    }
}

fn request(ctx: &Context, inputs: &Inputs, token: &str) -> Result<Request, Failure> {
    let (kind, body) = match inputs.values.get("body") {
        None | Some(Value::Null) => ("application/json", default_body(ctx).to_string()),
        Some(Value::String(text)) => {
            let json = serde_json::from_str::<Value>(text).is_ok();
            (if json { "application/json" } else { "text/plain; charset=utf-8" }, text.clone())
        }
        Some(value) => ("application/json", value.to_string()),
    };
    let mut headers = inputs.map("headers");
    add(&mut headers, "Content-Type", kind);
    add(&mut headers, "Idempotency-Key", token);
    Ok(Request {
        method: "POST",
        url: inputs.required_text("url")?.to_owned(),
        headers,
        body: Some(body),
        timeout: PATIENCE,
    })
}

/// Adds a header, unless the author gave it.
fn add(headers: &mut BTreeMap<String, String>, name: &str, value: &str) {
    if !headers.keys().any(|given| given.eq_ignore_ascii_case(name)) {
        headers.insert(name.to_owned(), value.to_owned());
    }
}

fn default_body(ctx: &Context) -> Value {
    json!({ "run": ctx.run, "event": "step", "subject": ctx.task })
}
