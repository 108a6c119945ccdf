//! The people of the world, who approve, reject or stay silent.

use jiff::Timestamp;
use runbook_engine::duration::Span;
use serde::Deserialize;

/// Somebody who answers gates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The Unix user.
    pub name: String,
    /// The groups that this user is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The gate, by path or last id; absent: every gate that asks people.
    #[serde(default)]
    pub gate: Option<String>,
    /// How long after the opening.
    #[serde(default)]
    pub after: Span,
    /// What they do.
    pub answer: Reply,
    /// What they write: a comment, or the evidence of a manual gate.
    #[serde(default)]
    pub note: Option<String>,
}

impl Person {
    /// Whether this gate (a task's name) is one that they answer, or stay silent at.
    pub fn answers(&self, gate: &str) -> bool {
        self.gate.as_deref().is_none_or(|wanted| super::fault_rule::names_step(wanted, gate))
    }
}

/// What somebody does at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Approves.
    Approve,
    /// Rejects.
    Reject,
    /// Says nothing.
    Silent,
}

/// What somebody says to an open gate, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it comes.
    pub at: Timestamp,
    /// The Unix user.
    pub user: String,
    /// That user's groups.
    pub groups: Vec<String>,
    /// Approved, else rejected.
    pub approve: bool,
    /// A comment or evidence.
    pub note: Option<String>,
}

/// The answers that a gate opened at this time gets, in the order in which they come. Silent people give none.
pub(super) fn answers(people: &[Person], gate: &str, opened_at: Timestamp) -> Vec<Answer> {
    let mut answers: Vec<_> = people
        .iter()
        .filter(|person| person.answer != Reply::Silent)
        .filter(|person| person.answers(gate))
        .map(|person| Answer {
            at: super::time::later(opened_at, person.after.get()),
            user: person.name.clone(),
            groups: person.groups.clone(),
            approve: person.answer == Reply::Approve,
            note: person.note.clone(),
        })
        .collect();
    answers.sort_by_key(|answer| answer.at);
    answers
}
