//! Looking from the host itself, with what it has.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{InputDoc, InputKind},
    target::Target,
};

use super::watch::{Look, Seen};
use crate::{
    action::{Failure, Inputs},
    context::Context,
    ports::{
        fault::{Fault, FaultKind},
        linux,
    },
};

/// What asks a URL on a host.
pub(super) const HTTP: &str = include_str!("host/http.sh");

/// What connects to a port on a host.
pub(super) const TCP: &str = include_str!("host/tcp.sh");

/// How those two exit where the host has nothing to look with.
const NOTHING_TO_LOOK_WITH: i32 = 3;

/// Connecting to the host and starting there takes time of its own.
const ON_TOP: Duration = Duration::from_secs(5);

/// The input that says where a check looks from.
pub(super) fn from() -> InputDoc {
    InputDoc::optional(
        "from",
        InputKind::Enum(vec!["runner", "host"]),
        "Who looks: this machine (`runner`, also when absent), or the host that is checked, over SSH.",
    )
}

/// The host that is to look; none: this machine looks.
///
/// # Errors
/// There is no host.
pub(super) fn looking<'t>(
    target: Option<&'t Target>,
    inputs: &Inputs,
) -> Result<Option<&'t Target>, Failure> {
    if inputs.text("from") != Some("host") {
        return Ok(None);
    }
    let none = || Failure::failed("`from: host` needs a step with targets: there is no host to look from");
    target.map(Some).ok_or_else(none)
}

/// What a script's end means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Means {
    /// 0 passed, 1 did not pass, in the words that it printed.
    Said,
    /// This code passed.
    Code(i64),
}

/// A script that looks from a host.
#[derive(Clone, Debug)]
pub(super) struct FromHost {
    pub host: Target,
    pub subject: String,
    pub script: String,
    pub env: BTreeMap<String, String>,
    pub within: Duration,
    pub means: Means,
}

#[async_trait]
impl Look for FromHost {
    fn subject(&self) -> String {
        format!("{} (from {})", self.subject, self.host.name)
    }

    async fn look(&self, ctx: &Context) -> Result<(), Seen> {
        let well = match self.means {
            Means::Said => Some(0),
            Means::Code(code) => i32::try_from(code).ok(),
        };
        let look = linux::Look {
            script: self.script.clone(),
            env: self.env.clone(),
            as_root: false,
            within: self.within + ON_TOP,
            looks_for: well,
        };
        let seen = ctx.ports.linux.look(&self.host, &look).await.map_err(not_looked)?;
        let Some(code) = seen.code else {
            return Err(Seen::Sick("did not end by itself".to_owned()));
        };
        if well == Some(code) {
            return Ok(());
        }
        let said = || match seen.stdout.trim() {
            "" => "did not pass".to_owned(),
            said => said.to_owned(),
        };
        Err(match (self.means, code) {
            (Means::Said, 1) => Seen::Sick(said()),
            (Means::Said, NOTHING_TO_LOOK_WITH) => Seen::Final(format!("cannot be looked at: {}", said())),
            (Means::Said | Means::Code(_), code) => Seen::Sick(format!("exited with {code}")),
        })
    }
}

/// A host that cannot be spoken to may come back, as after a reboot; one that does not let us in will not.
pub(super) fn not_looked(fault: Fault) -> Seen {
    match fault.kind {
        FaultKind::Denied | FaultKind::Target | FaultKind::Invalid | FaultKind::Unsupported => {
            Seen::Final(format!("cannot be looked at: {}", fault.message))
        }
        _ => Seen::Away(format!("could not be looked at ({})", fault.message)),
    }
}

/// A request as curl's configuration, which is read from its standard input.
pub(super) fn curl(url: &str, headers: &BTreeMap<String, String>, within: Duration) -> String {
    let mut lines = vec![
        format!("url = {}", curl_text(url)),
        "silent".to_owned(),
        "show-error".to_owned(),
        "output = /dev/null".to_owned(),
        format!("max-time = {}", within.as_secs()),
        "write-out = \"%{http_code}\"".to_owned(),
    ];
    let header = |(name, value)| format!("header = {}", curl_text(&format!("{name}: {value}")));
    lines.extend(headers.iter().map(header));
    lines.join("\n")
}

/// A request as it is sent: host, port and text. None where that is not enough: TLS, or a user in the URL.
pub(super) fn plain(url: &str, headers: &BTreeMap<String, String>) -> Option<(String, String, String)> {
    let rest = url.strip_prefix("http://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return None;
    }
    let path = rest[authority.len()..].split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let (host, port) = match authority.strip_prefix('[') {
        Some(six) => {
            let (host, port) = six.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n{headers}Connection: close\r\n\r\n");
    Some((host.to_owned(), port.unwrap_or("80").to_owned(), text))
}

fn curl_text(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").replace('\r', r"\r")
    )
}

#[cfg(test)]
mod tests;
