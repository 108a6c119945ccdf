//! What tests and the runner ask of the sandbox itself: its clock, its calls, holds, and the fleet's people.

use std::time::Duration;

use hyper::Method;
use jiff::Timestamp;
use runbook_engine::duration::Span;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{answer::Answer, hold::When, request::Request, sandbox::Sandbox};

/// Everything below this path is about the sandbox itself.
pub const ROOT: &str = "/_sandbox/";
/// How long `held` waits.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    to: Option<Timestamp>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    call: u64,
    when: When,
}

/// Answers a request.
pub async fn answer(sandbox: &Sandbox, request: &Request) -> Answer {
    let what = request.path().strip_prefix(ROOT).unwrap_or_default();
    let answer = match (&request.method, what) {
        (&Method::GET, "clock") => Ok(clock(sandbox)),
        (&Method::POST, "clock") => set_clock(sandbox, request),
        (&Method::GET, "calls") => serde_json::to_value(sandbox.calls()).map_err(|error| error.to_string()),
        (&Method::POST, "hold") => hold(sandbox, request),
        (&Method::GET, "held") => Ok(json!(sandbox.holds().held(PATIENCE).await)),
        (&Method::POST, "release") => Ok(json!({ "released": sandbox.holds().release() })),
        (&Method::GET, "people") => people(sandbox, request),
        _ => {
            return say(
                404,
                &json!({ "error": format!("{ROOT}{what} is not there for {}", request.method) }),
            );
        }
    };
    match answer {
        Ok(body) => say(200, &body),
        Err(error) => say(400, &json!({ "error": error })),
    }
}

fn say(status: u16, body: &Value) -> Answer {
    Answer::new(status, "application/json", body.to_string())
}

fn clock(sandbox: &Sandbox) -> Value {
    let world = sandbox.world();
    let (fleet, _) = world.about();
    json!({ "now": world.now(), "fleet": fleet, "account": world.first_account(), "region": world.first_region() })
}

fn set_clock(sandbox: &Sandbox, request: &Request) -> Result<Value, String> {
    let wanted: Move = read(request)?;
    let to = match (wanted.to, wanted.by.as_deref()) {
        (Some(to), None) => to,
        (None, Some(by)) => {
            let by = Span::parse(by).ok_or_else(|| format!("`{by}` is not a duration like 90s or 1h"))?;
            sandbox.world().now().checked_add(by.get()).map_err(|error| error.to_string())?
        }
        _ => return Err("say either `to` or `by`".into()),
    };
    sandbox.world().advance_to(to);
    let now = sandbox.world().now();
    sandbox.log().note_time(now).map_err(|error| error.to_string())?;
    Ok(clock(sandbox))
}

fn hold(sandbox: &Sandbox, request: &Request) -> Result<Value, String> {
    let wanted: Hold = read(request)?;
    if wanted.call == 0 {
        return Err("`call` counts from 1".into());
    }
    sandbox.holds().plan(wanted.call, wanted.when);
    Ok(json!({}))
}

fn people(sandbox: &Sandbox, request: &Request) -> Result<Value, String> {
    let gate = request.query_value("gate").ok_or("`gate` is missing")?;
    let opened = request.query_value("opened").ok_or("`opened` is missing")?;
    let opened: Timestamp = opened.parse().map_err(|_| format!("`{opened}` is no time"))?;
    let answers = sandbox.world().people_for(&gate, opened);
    Ok(answers
        .iter()
        .map(|answer| {
            json!({
                "at": answer.at,
                "user": answer.user,
                "groups": answer.groups,
                "approve": answer.approve,
                "note": answer.note,
            })
        })
        .collect())
}

fn read<'a, T: Deserialize<'a>>(request: &'a Request) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|error| error.to_string())
}
