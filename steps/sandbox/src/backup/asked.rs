//! One call of an operation: its account, and what is left of its parameters.

use jiff::Timestamp;
use runbook_steps::world::Account;
use serde_json::{Map, Value};

use super::route::Route;
use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
    paging::{Ask, Page},
};

/// On a page of a listing whose size nobody named.
const MOST_ON_A_PAGE: usize = 1_000;
/// AWS Backup's code for a value that is none.
const INVALID: &str = "InvalidParameterValueException";

/// One call of an operation.
pub(super) struct Asked<'a> {
    pub call: &'a Call<'a>,
    pub account: Account,
    /// The members of the body.
    pub body: Members,
    /// The names in the path that were not taken yet, the last one first.
    names: Vec<String>,
    query: Vec<(String, String)>,
}

/// `maxResults` and `nextToken`.
pub(super) struct Range {
    size: usize,
    token: Option<String>,
}

impl<'a> Asked<'a> {
    /// Reads path, query and body.
    pub fn read(call: &'a Call<'a>, route: Route) -> Result<Self, Refusal> {
        let body = Members::read(&call.request.body).map_err(in_its_words)?;
        let names = route.names.into_iter().rev().collect();
        let account = call.home();
        Ok(Self { call, account, body, names, query: call.request.query() })
    }

    /// The next name in the path.
    pub fn name(&mut self) -> String {
        self.names.pop().unwrap_or_default()
    }

    /// A parameter of the query.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let place = self.query.iter().position(|(key, _)| key == name)?;
        Some(self.query.remove(place).1).filter(|text| !text.is_empty())
    }

    /// A parameter of the query that is a moment.
    pub fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        self.text(name)
            .map(|text| text.parse().map_err(|_| invalid(format!("{name} is no time: {text}"))))
            .transpose()
    }

    /// Which page is asked for.
    pub fn range(&mut self) -> Result<Range, Refusal> {
        let size = match self.text("maxResults") {
            None => MOST_ON_A_PAGE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=1_000).contains(size))
                .ok_or_else(|| invalid(format!("maxResults is not between 1 and 1000: {text}")))?,
        };
        Ok(Range { size, token: self.text("nextToken") })
    }

    /// All parameters were taken: what is left is unknown, and refused.
    pub fn finish(&mut self) -> Result<(), Refusal> {
        let body = std::mem::replace(&mut self.body, Members::of(Map::new()));
        body.finish().map_err(in_its_words)?;
        match self.query.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!("unknown parameter: {name}"))),
        }
    }

    /// The page of `list` that was asked for; `call` is the right that it needs.
    pub async fn page<T, F>(&self, call: &'static str, range: &Range, list: F) -> Result<Page<T>, Trouble>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<T>, Trouble>> + Send,
    {
        let place = (self.call.account, self.call.region, self.call.operation, self.call.request.path());
        let mut query = self.call.request.query();
        query.retain(|(name, _)| name != "nextToken" && name != "maxResults");
        let of = format!("{place:?} {query:?}");
        let ask = Ask { call, of, size: range.size, token: range.token.as_deref(), refused: INVALID };
        self.call.page(&ask, list).await
    }

    /// The ARN of a vault.
    pub fn vault_arn(&self, name: &str) -> String {
        format!("arn:aws:backup:{}:{}:backup-vault:{name}", self.call.region, self.call.account)
    }
}

/// What is answered to a value that is none.
pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(INVALID, message)
}

/// What is answered when something does not exist.
pub(super) fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::new("ResourceNotFoundException", message)
}

/// A wrong request, with the codes of AWS Backup.
pub(super) fn in_its_words(refusal: Refusal) -> Refusal {
    let code = if refusal.message.ends_with("must not be null") {
        "MissingParameterValueException"
    } else {
        INVALID
    };
    Refusal { code: code.into(), ..refusal }
}

/// An answer: members that are null are left out.
pub(super) fn answer(mut body: Value) -> Answer {
    prune(&mut body);
    Answer::new(200, "application/json", body.to_string())
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, member| !member.is_null());
            map.values_mut().for_each(prune);
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        _ => {}
    }
}

/// A moment: seconds, with a fraction.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1_000.0
}
