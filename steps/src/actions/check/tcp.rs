//! `check/tcp`: a port takes connections.

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind},
    target::Target,
};
use serde_json::Value;

use super::{
    host::{self, FromHost, Means},
    http::PATIENCE,
    watch::{self, Look, Seen},
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::Context,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    super::doc(
        "check/tcp",
        "Waits until a port takes connections, and then watches that it stays so.",
        vec![
            InputDoc::required("host", InputKind::String, "A name or an IP address."),
            InputDoc::required("port", InputKind::Integer, "The port."),
            host::from(),
        ],
    )
}

/// The action.
#[derive(Clone, Debug)]
pub struct Tcp {
    doc: ActionDoc,
}

impl Default for Tcp {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Tcp {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        watch::run(ctx, work, port).await
    }
}

fn port(target: Option<&Target>, inputs: &Inputs) -> Result<Box<dyn Look>, Failure> {
    let port = Port::of(inputs)?;
    let Some(host) = host::looking(target, inputs)? else { return Ok(Box::new(port)) };
    let env = [
        ("RB_HOST", port.host.clone()),
        ("RB_PORT", port.port.to_string()),
        ("RB_WITHIN", PATIENCE.as_secs().to_string()),
    ];
    Ok(Box::new(FromHost {
        host: host.clone(),
        subject: port.subject(),
        script: host::TCP.to_owned(),
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        within: PATIENCE,
        means: Means::Said,
    }))
}

struct Port {
    host: String,
    port: u16,
}

impl Port {
    fn of(inputs: &Inputs) -> Result<Self, Failure> {
        let port = inputs.integer("port").and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        Ok(Self {
            host: inputs.required_text("host")?.to_owned(),
            port: port.ok_or_else(|| Failure::failed("the input `port` is not a number from 1 to 65535"))?,
        })
    }
}

#[async_trait]
impl Look for Port {
    fn subject(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    async fn look(&self, ctx: &Context) -> Result<(), Seen> {
        let connected = ctx.ports.http.connect(&self.host, self.port, PATIENCE).await;
        connected.map_err(|hindrance| Seen::of(&hindrance, |why| format!("took no connection ({why})")))
    }
}
