//! The simulated machines behind an HTTP proxy: checks of a runner reach them here.

use std::{collections::BTreeMap, time::Duration};

use hyper::{Method, body::Incoming};
use runbook_steps::ports::http::Request as Asked;
use tokio::io;

use crate::{answer::Answer, request::Request, sandbox::Sandbox};

/// Says that this proxy, not the machine, answers.
const PROXY: &str = "x-runbook-proxy";
/// The world answers at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A request in absolute form.
pub async fn request(sandbox: &Sandbox, request: &Request) -> Answer {
    let method = match request.method {
        Method::GET | Method::HEAD => "GET",
        _ => "POST",
    };
    let asked = Asked {
        method,
        url: request.uri.to_string(),
        headers: BTreeMap::new(),
        body: None,
        timeout: AT_ONCE,
    };
    let is_machine = request.uri.host().is_some_and(|host| sandbox.world().machine(host).is_some());
    match sandbox.http().request(asked).await {
        // A message to somebody outside: noted, never sent.
        Ok(_) if method == "POST" && !is_machine => Answer::new(204, "", ""),
        Ok(status) => Answer::new(status, "text/plain", ""),
        Err(hindrance) => failed(&hindrance.why),
    }
}

/// A tunnel: whether a connection can be made is all that there is to know.
pub async fn connect(sandbox: &Sandbox, request: hyper::Request<Incoming>) -> Answer {
    let Some(authority) = request.uri().authority().cloned() else {
        return Answer::new(400, "text/plain", "CONNECT names no host");
    };
    let port = authority.port_u16().unwrap_or(443);
    match sandbox.http().connect(authority.host(), port, AT_ONCE).await {
        Ok(()) => {
            tokio::spawn(async move {
                if let Ok(tunnel) = hyper::upgrade::on(request).await {
                    // What is said to the machine goes nowhere; the tunnel lasts until the client closes it.
                    let mut tunnel = hyper_util::rt::TokioIo::new(tunnel);
                    let _ = io::copy(&mut tunnel, &mut io::sink()).await;
                }
            });
            Answer::new(200, "", "")
        }
        Err(hindrance) => failed(&hindrance.why),
    }
}

fn failed(cause: &str) -> Answer {
    if cause.contains("refused") {
        Answer::new(502, "text/plain", cause.to_owned()).with(PROXY, "refused")
    } else if cause.contains("unreachable") || cause.contains("time") {
        Answer::new(504, "text/plain", cause.to_owned()).with(PROXY, "unreachable")
    } else {
        // The connection broke before the answer came.
        Answer::Drop
    }
}
