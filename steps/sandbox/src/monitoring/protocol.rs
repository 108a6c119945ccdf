//! The protocols of CloudWatch: Smithy RPC v2 in CBOR (what SDKs of today prefer), JSON 1.0, and Query.

use ciborium::Value;
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::{
    answer::Answer,
    call::Call,
    fault::Refusal,
    members::Members,
    query::{self, Form},
    request::Request,
};

const VERSION: &str = "2010-08-01";
const NAMESPACE: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";
const TARGET: &str = "GraniteServiceVersion20100801.";
const PATH: &str = "/service/GraniteServiceVersion20100801/operation/";
const CBOR: &str = "application/cbor";
const JSON: &str = "application/x-amz-json-1.0";
/// Seconds since 1970, in CBOR.
const EPOCH: u64 = 1;

/// How a request is written; its answer is written the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Cbor,
    Json,
    Query,
}

impl Protocol {
    /// The one of this request.
    pub fn of(request: &Request) -> Self {
        if request.path().starts_with(PATH) {
            Self::Cbor
        } else if request.header("x-amz-target").is_some() {
            Self::Json
        } else {
            Self::Query
        }
    }

    /// The operation that is asked for.
    pub fn operation(self, request: &Request) -> Option<String> {
        match self {
            Self::Cbor => request.path().strip_prefix(PATH).map(str::to_owned),
            Self::Json => request.header("x-amz-target")?.strip_prefix(TARGET).map(str::to_owned),
            Self::Query => Form::of(request).action().map(str::to_owned),
        }
    }

    /// The members of a request.
    pub fn read(self, request: &Request) -> Result<Members, Refusal> {
        match self {
            Self::Cbor if request.body.is_empty() => Ok(Members::of(serde_json::Map::new())),
            Self::Cbor => {
                let value: Option<Value> = ciborium::from_reader(&*request.body).ok();
                match value.and_then(json) {
                    Some(Json::Object(map)) => Ok(Members::of(map)),
                    _ => Err(Refusal::new("SerializationException", "the body is no CBOR map")),
                }
            }
            Self::Json => Members::read(&request.body),
            Self::Query => Form::of(request).members(VERSION),
        }
    }

    /// An answer; times are CBOR's own.
    pub fn answer(self, call: &Call<'_>, result: Option<Value>) -> Answer {
        match self {
            Self::Cbor => {
                let mut body = Vec::new();
                if let Some(result) = result
                    && ciborium::into_writer(&result, &mut body).is_err()
                {
                    return Answer::new(500, "text/plain", "the answer cannot be written");
                }
                Answer::new(200, CBOR, body).with("smithy-protocol", "rpc-v2-cbor")
            }
            Self::Json => {
                let body = result.and_then(json).unwrap_or_else(|| serde_json::json!({}));
                Answer::new(200, JSON, body.to_string())
            }
            Self::Query => {
                let result = result.map(iso);
                query::answer(call.operation, NAMESPACE, result.as_ref(), call.request_id)
            }
        }
    }

    /// An error. What the Query protocol calls it goes along in a header: clients show that.
    pub fn refuse(self, refusal: &Refusal, request_id: &str) -> Answer {
        let side = if refusal.status < 500 { "Sender" } else { "Receiver" };
        let shape = format!("com.amazonaws.cloudwatch#{}", refusal.code);
        let answer = match self {
            Self::Query => return query::refuse(NAMESPACE, refusal, request_id),
            Self::Json => {
                let body = serde_json::json!({ "__type": shape, "message": refusal.message });
                Answer::new(refusal.status, JSON, body.to_string())
            }
            Self::Cbor => {
                let members = [("__type", shape), ("message", refusal.message.clone())];
                let map = members.map(|(name, value)| (Value::from(name), Value::from(value)));
                let mut body = Vec::new();
                // A map of texts can always be written.
                let _ = ciborium::into_writer(&Value::Map(map.into()), &mut body);
                Answer::new(refusal.status, CBOR, body).with("smithy-protocol", "rpc-v2-cbor")
            }
        };
        answer.with("x-amzn-query-error", format!("{};{side}", refusal.code))
    }
}

/// A time.
pub(super) fn time(at: Timestamp) -> Value {
    Value::Tag(EPOCH, Box::new(Value::Float(at.as_millisecond() as f64 / 1000.0)))
}

/// The same in JSON: times are numbers.
fn json(value: Value) -> Option<Json> {
    walk(value, &|seconds| Some(Json::from(seconds)))
}

/// The same for XML: times are texts.
fn iso(value: Value) -> Json {
    let text = |seconds: f64| {
        let at = Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()?;
        Some(Json::from(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()))
    };
    walk(value, &text).unwrap_or(Json::Null)
}

fn walk(value: Value, time: &dyn Fn(f64) -> Option<Json>) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::from(flag),
        Value::Text(text) => Json::from(text),
        Value::Integer(number) => Json::from(i64::try_from(number).ok()?),
        Value::Float(number) => Json::from(number),
        Value::Tag(EPOCH, inner) => match *inner {
            Value::Float(seconds) => time(seconds)?,
            _ => return None,
        },
        Value::Array(items) => {
            Json::Array(items.into_iter().map(|item| walk(item, time)).collect::<Option<_>>()?)
        }
        Value::Map(members) => {
            let read = |(name, value): (Value, Value)| Some((name.into_text().ok()?, walk(value, time)?));
            Json::Object(members.into_iter().map(read).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ciborium::Value;
    use jiff::Timestamp;

    use super::{iso, json, time};

    #[test]
    fn times_in_every_protocol() {
        let at = Timestamp::from_millisecond(1_767_600_005_250).unwrap();
        let value = Value::Map(vec![(Value::from("At"), time(at))]);
        assert_eq!(json(value.clone()).unwrap().to_string(), r#"{"At":1767600005.25}"#);
        assert_eq!(iso(value).to_string(), r#"{"At":"2026-01-05T08:00:05.250Z"}"#);
    }
}
