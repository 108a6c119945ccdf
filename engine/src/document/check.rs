//! Everything about a document that can be told without machines and without parameter values.

mod action;
mod book;
mod composite;
mod expression;
mod gate;
mod group;
mod input;
mod kind;
mod notification;
mod order;
mod patchset;
mod reference;
mod rollout;
mod script;
mod step;
mod usage;
mod way_back;

use std::collections::BTreeSet;

use super::{model::Runbook, sort};
use crate::{catalog::Catalog, diagnostic::Diagnostic};
use book::{Book, Outer};
pub(crate) use kind::described;
pub(super) use notification::{EVENTS, WEBHOOK};
use usage::Used;

/// All problems of a document, sorted by place. A document without errors can be planned, for right parameters and
/// machines.
///
/// References, inputs, expressions, budgets, deadlines and ways back are looked at; files that `run:` names are
/// looked at too. Problems that [`super::read`] reported are not repeated.
pub fn check(runbook: &Runbook, catalog: &dyn Catalog) -> Vec<Diagnostic> {
    let mut check = Check {
        catalog,
        entry: runbook,
        used_groups: BTreeSet::new(),
        used_env: BTreeSet::new(),
        problems: Vec::new(),
    };
    let mut used = Used::default();
    check.groups(&mut used);
    check.notifications(&mut used);
    check.book(runbook, Outer { file: false, targets: false }, used);
    check.document_usage();
    let mut problems = check.problems;
    sort(&mut problems);
    problems
}

/// One check of one document.
struct Check<'r> {
    catalog: &'r dyn Catalog,
    /// The runbook itself: its groups and allow-list hold for every file.
    entry: &'r Runbook,
    used_groups: BTreeSet<&'r str>,
    used_env: BTreeSet<String>,
    problems: Vec<Diagnostic>,
}

impl<'r> Check<'r> {
    fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// One file: its root, its blocks and `finally`.
    fn book(&mut self, runbook: &'r Runbook, outer: Outer, mut used: Used<'r>) {
        let mut book = Book::of(runbook, self.catalog, outer);
        self.block_cycles(&mut book);
        for level in 0..book.levels.len() {
            self.order(&book, level);
            for step in 0..book.levels[level].steps.len() {
                self.step(&book, level, step, &mut used);
            }
        }
        if !book.recursive {
            for level in 0..book.levels.len() {
                self.ways_back(&book, level);
            }
            self.files(&book);
        }
        self.patchset(&book);
        self.usage(&book, &used);
    }
}
