//! Everything that is wrong, told at once.

use super::Refusal;
use crate::diagnostic::Diagnostic;

/// Collects what is wrong; the same problem at the same place is told once, however many waves it shows in.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Diagnostic>);

impl Problems {
    pub(super) fn add(&mut self, problem: Diagnostic) {
        if !self.0.iter().any(|known| known.place == problem.place && known.code == problem.code) {
            self.0.push(problem);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.0.sort_by_key(|problem| problem.place);
        self.0
    }

    pub(super) fn refuse_if_any(&mut self) -> Result<(), Refusal> {
        if self.is_empty() { Ok(()) } else { Err(Refusal::Invalid(std::mem::take(self).into_sorted())) }
    }
}
