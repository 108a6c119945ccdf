//! What jobs of an attempt have done to a host, in this life and in earlier ones.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use runbook_engine::target::Target;

use super::job::{End, Kept};
use crate::context::Context;

/// What the jobs of an attempt have done to a host.
#[derive(Debug, Default)]
pub(super) struct Past {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    begun: BTreeSet<String>,
    ended: Option<Timestamp>,
}

impl Past {
    /// As the journal has it. What an earlier life was about to begin counts as begun until it is known not to be there.
    pub fn of(ctx: &Context, target: &Target) -> Self {
        let past = Self::default();
        let own = |key| str::strip_prefix(key, target.id.as_str()).and_then(|rest| rest.strip_prefix('/'));
        ctx.memory.intents.keys().filter_map(|key| own(key)).for_each(|what| past.has_begun(what));
        for (key, value) in &ctx.memory.checkpoints {
            if let (Some(what), Some(kept)) = (own(key), Kept::read(value)) {
                past.has_begun(what);
                past.has_ended(&kept.end);
            }
        }
        past
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job was begun.
    pub fn has_begun(&self, what: &str) {
        self.inner().begun.insert(what.to_owned());
    }

    /// A job was not begun, and will not be.
    pub fn was_not_begun(&self, what: &str) {
        self.inner().begun.remove(what);
    }

    /// A job came to its end.
    pub fn has_ended(&self, end: &End) {
        if let End::Ended(ended) = end {
            let mut inner = self.inner();
            inner.ended = inner.ended.max(ended.ended_at);
        }
    }

    /// Whether this job was begun, or may have been.
    pub fn began(&self, what: &str) -> bool {
        self.inner().begun.contains(what)
    }

    /// Whether any job was, or may have been, that may have changed the host: bringing lists up to date and waiting do not.
    pub fn changed_it(&self) -> bool {
        self.inner().begun.iter().any(|what| !matches!(what.as_str(), "refresh" | "barrier"))
    }

    /// When the last job ended: never later than it was heard of.
    pub fn ended(&self) -> Option<Timestamp> {
        self.inner().ended
    }
}
