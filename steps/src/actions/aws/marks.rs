//! The tags of everything that is made for a run: by them it is found again, counted, and collected (promise 7).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::{duration::Span, ids::TargetId};

use super::errand::later;
use crate::context::Context;

/// The tag that finds it again where a call has no client token.
pub(super) const TOKEN: &str = "runbook:token";

/// The tags of something that is made for a machine.
pub(super) fn tags(
    ctx: &Context,
    machine: &TargetId,
    token: &str,
    expires: Option<Timestamp>,
) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::from([
        ("runbook:run".to_owned(), ctx.run.to_string()),
        ("runbook:task".to_owned(), ctx.task.to_string()),
        ("runbook:host".to_owned(), machine.to_string()),
        ("runbook:store".to_owned(), ctx.store.to_string()),
        (TOKEN.to_owned(), token.to_owned()),
    ]);
    if let Some(expires) = expires {
        tags.insert("runbook:expires".to_owned(), expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    tags
}

/// When something that was ordered then and is kept so long is no longer needed: at the full hour after it, so that the
/// same call in another life says the same.
pub(super) fn expires(since: Timestamp, keep: Option<Span>) -> Option<Timestamp> {
    const HOUR: i64 = 3600;
    let at = later(since, keep?.get()).as_second();
    Timestamp::from_second(at.div_euclid(HOUR).saturating_add(1).saturating_mul(HOUR)).ok()
}

/// How many days that is, each begun one counted.
pub(super) fn days(keep: Duration) -> u64 {
    keep.as_secs().div_ceil(24 * 3600).max(1)
}
