//! What AWS holds that no run of this store needs and the ledger does not answer for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::ids::RunId;
use runbook_state::artifact::ArtifactState;

use super::{
    books::{Books, Need},
    held::Held,
};

/// Something that nobody answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// What, and where.
    pub held: Held,
    /// Why nobody does.
    pub why: Why,
}

/// Why nobody answers for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The ledger knows that it was intended: the process died before it heard that it was made.
    Intended,
    /// Its run is here, and the ledger does not know it.
    Unknown,
    /// The ledger says that it was deleted.
    Deleted,
    /// Its run was one of this state folder's, and is not here any more.
    NoRun,
    /// Its run is one of another state folder's (or of none that is known).
    OtherStore,
}

impl Why {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Unknown => "unknown",
            Self::Deleted => "deleted",
            Self::NoRun => "no_run",
            Self::OtherStore => "other_store",
        }
    }

    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::Intended => "its run died before it heard of it",
            Self::Unknown => "not in the ledger",
            Self::Deleted => "the ledger says that it was deleted",
            Self::NoRun => "its run is not here any more",
            Self::OtherStore => "of another state folder",
        }
    }
}

/// Those of these that nobody answers for. What a machine uses is the machine's.
pub fn orphans(books: &Books, held: &[Held]) -> Vec<Orphan> {
    let index = Index {
        store: &books.store,
        runs: books.runs.iter().map(|row| &row.run).collect(),
        needs: books.needs(),
        known: books.rows.iter().filter_map(|row| Some(((&row.run, row.id.as_ref()?), row.state))).collect(),
        intended: books
            .rows
            .iter()
            .filter(|row| row.id.is_none() && row.state == ArtifactState::Intended)
            .map(|row| (&row.run, &row.token))
            .collect(),
    };
    let of = |held: &Held| Some(Orphan { held: held.clone(), why: index.why(held)? });
    held.iter().filter(|held| held.in_use_by.is_none()).filter_map(of).collect()
}

/// What the books say, by what is asked.
struct Index<'a> {
    store: &'a str,
    runs: BTreeSet<&'a RunId>,
    needs: BTreeMap<RunId, Need>,
    known: BTreeMap<(&'a RunId, &'a String), ArtifactState>,
    intended: BTreeSet<(&'a RunId, &'a String)>,
}

impl Index<'_> {
    fn why(&self, held: &Held) -> Option<Why> {
        let here = self.runs.contains(&held.run);
        if !here {
            let ours = held.store.as_deref() == Some(self.store);
            return Some(if ours { Why::NoRun } else { Why::OtherStore });
        }
        // A run that is here is this state folder's, whatever the tag says: it may need what it made.
        if self.needs.contains_key(&held.run) {
            return None;
        }
        match self.known.get(&(&held.run, &held.id)) {
            Some(ArtifactState::Deleted) => Some(Why::Deleted),
            Some(_) => None,
            None => match &held.token {
                Some(token) if self.intended.contains(&(&held.run, token)) => Some(Why::Intended),
                _ => Some(Why::Unknown),
            },
        }
    }
}

/// Whether something is old enough to be collected: as old as is stated; else a week, and past its own `runbook:expires`
/// where somebody may still go back to it: the run of another state folder, or one of ours from before there was a
/// ledger. There, what has no expiry is kept, as it is in its own ledger. What does not say how old it is is left alone.
pub fn is_old_enough(orphan: &Orphan, stated: Option<Duration>, now: Timestamp) -> bool {
    let old = |least: Duration| {
        orphan
            .held
            .made_at
            .is_some_and(|made| now.duration_since(made).unsigned_abs() >= least && made <= now)
    };
    match stated {
        Some(least) => old(least),
        None => {
            let kept = matches!(orphan.why, Why::OtherStore | Why::Unknown)
                && orphan.held.expires.is_none_or(|end| end > now);
            old(LEAST_AGE) && !kept
        }
    }
}

/// How old an orphan is at least before it is collected, unless another age is stated.
pub const LEAST_AGE: Duration = Duration::from_secs(7 * 86_400);
