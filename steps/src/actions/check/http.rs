//! `check/http`: a URL answers as expected.

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
    ports::http::Request,
};

/// An answer that takes longer than this is no sign of health; load balancers give up sooner.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Its documentation.
pub fn doc() -> ActionDoc {
    super::doc(
        "check/http",
        "Waits until a URL answers with the expected status, and then watches that it stays so.",
        vec![
            InputDoc::required("url", InputKind::Url, "What to ask, by GET; redirects are not followed."),
            InputDoc::defaulting("expect", InputKind::Integer, 200, "The status of a healthy answer."),
            InputDoc::optional("headers", InputKind::StringMap, "Headers to send.").may_hold_secrets(),
            host::from(),
        ],
    )
}

/// The action.
#[derive(Clone, Debug)]
pub struct Http {
    doc: ActionDoc,
}

impl Default for Http {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Http {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        watch::run(ctx, work, page).await
    }
}

fn page(target: Option<&Target>, inputs: &Inputs) -> Result<Box<dyn Look>, Failure> {
    let page = Page::of(inputs)?;
    let Some(host) = host::looking(target, inputs)? else { return Ok(Box::new(page)) };
    let headers: Vec<String> = page.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let (to, port, request) = host::plain(&page.url, &page.headers).unwrap_or_default();
    let env = [
        ("RB_HOST", to),
        ("RB_PORT", port),
        ("RB_REQUEST", request),
        ("RB_CURL", host::curl(&page.url, &page.headers, PATIENCE)),
        ("RB_URL", page.url.clone()),
        ("RB_HEADERS", headers.join("\n")),
        ("RB_EXPECT", page.expect.to_string()),
        ("RB_WITHIN", PATIENCE.as_secs().to_string()),
    ];
    Ok(Box::new(FromHost {
        host: host.clone(),
        subject: page.subject(),
        script: host::HTTP.to_owned(),
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        within: PATIENCE,
        means: Means::Said,
    }))
}

struct Page {
    url: String,
    expect: u64,
    headers: BTreeMap<String, String>,
}

impl Page {
    fn of(inputs: &Inputs) -> Result<Self, Failure> {
        Ok(Self {
            url: inputs.required_text("url")?.to_owned(),
            expect: inputs.integer("expect").unwrap_or(200),
            headers: inputs.map("headers"),
        })
    }
}

#[async_trait]
impl Look for Page {
    fn subject(&self) -> String {
        without_secrets(&self.url)
    }

    async fn look(&self, ctx: &Context) -> Result<(), Seen> {
        let request = Request {
            method: "GET",
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: None,
            timeout: PATIENCE,
        };
        match ctx.ports.http.request(request).await {
            Ok(status) if u64::from(status) == self.expect => Ok(()),
            Ok(status) => Err(Seen::Sick(format!("answered {status}"))),
            Err(hindrance) => Err(Seen::of(&hindrance, |why| format!("gave no answer ({why})"))),
        }
    }
}

/// The part of a URL that may be shown: user, password, query and fragment can hold what nobody should read.
fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = url[..end].split_once("://").unwrap_or(("", &url[..end]));
    let host_end = rest.find('/').unwrap_or(rest.len());
    let host = &rest[..host_end];
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let slashes = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{slashes}{host}{}", &rest[host_end..])
}
