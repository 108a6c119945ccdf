//! `check/tcp`: a port takes connections.

use async_trait::async_trait;
use runbook_engine::catalog::{ActionDoc, InputDoc, InputKind};
use serde_json::Value;

use super::{
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
        watch::run(ctx, work, |_, inputs| Port::of(inputs)).await
    }
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
        connected.map_err(|why| Seen::Sick(format!("took no connection ({why})")))
    }
}
