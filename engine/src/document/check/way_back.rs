//! "No proven way back, no patch": every changing step needs a backup before it and a branch that restores.

use super::{
    Check,
    book::{Book, Site},
    kind::is_expression,
};
use crate::{
    catalog::{ActionDoc, EffectDoc, InputKind, is_written},
    diagnostic::Diagnostic,
    document::model::{Spanned, Step, StepTargets, What},
    outcome::Effect,
};

/// A backup that was found, and where.
type At = (usize, usize);

impl<'r> Check<'r> {
    pub(super) fn ways_back(&mut self, book: &Book<'r>, level: usize) {
        let at = &book.levels[level];
        for (index, step) in at.steps.iter().enumerate() {
            let Some(doc) = at.docs[index] else { continue };
            let restores = doc.restores || step.restores.is_some();
            if restores {
                self.verified(book, level, index);
            } else if self.effect(step, doc) == Effect::Changes
                && step.no_way_back.is_none()
                && book.has_targets(level, index)
            {
                self.way_back(book, level, index);
            }
        }
    }

    /// What an action does here. An input that is computed may come to anything: the worse holds.
    pub(super) fn effect_said(&self, step: &Step, doc: &ActionDoc) -> Effect {
        match &doc.effect {
            EffectDoc::Always(effect) => *effect,
            EffectDoc::ByInput { input, value, then, otherwise } => {
                let given =
                    step.with.iter().find(|given| given.key.value == *input).map(|given| &given.value.value);
                let default = doc.input(input).map(|input| &input.default);
                match given.or(default) {
                    Some(given) if is_expression(given) => (*then).max(*otherwise),
                    // A word that the action does not know was reported.
                    Some(given) if doc.input(input).is_some_and(|input| !knows(&input.kind, given)) => {
                        Effect::Reads
                    }
                    Some(given) if is_written(given, value) => *then,
                    _ => *otherwise,
                }
            }
        }
    }

    fn effect(&self, step: &Step, doc: &ActionDoc) -> Effect {
        match (self.effect_said(step, doc), &step.effect) {
            (Effect::Unknown, Some(stated)) => stated.value,
            (Effect::Unknown, None) if step.backs_up.as_ref().is_some_and(|flag| flag.value) => Effect::Reads,
            (said, _) => said,
        }
    }

    fn way_back(&mut self, book: &Book<'r>, level: usize, index: usize) {
        let at = &book.levels[level];
        let step = &at.steps[index];
        let (backups, conditional) = self.backups_before(book, level, index, step.when.as_ref());
        let id = &step.id.value;
        // What it needs and is not there may be the backup: it was reported.
        let unknown = |step: &Step| step.needs.iter().any(|need| book.resolved(level, need).is_none());
        let all = |_: &Step| true;
        if backups.is_empty()
            && (unknown(step) || at.before(index, all).into_iter().any(|earlier| unknown(&at.steps[earlier])))
        {
            return;
        }
        if backups.is_empty() {
            let around = at.before(index, all).into_iter().find(|earlier| {
                let earlier = &at.steps[*earlier];
                earlier.when.is_none() && self.backs_up(earlier)
            });
            let problem = match conditional.or(around.map(|earlier| &at.steps[earlier])) {
                Some(backup) if backup.when.is_none() => Diagnostic::error(
                    "backup-under-when",
                    format!("`{id}` waits for the backup `{}` only through steps under `when:`", backup.id.value),
                    step.id.place,
                )
                .hint(format!("a step that is skipped waits for nothing: add `{}` to `needs`", backup.id.value)),
                Some(backup) => Diagnostic::error(
                    "backup-under-when",
                    format!("the backup `{}` is under `when:`, and `{id}` is not under the same", backup.id.value),
                    step.id.place,
                )
                .hint("take the `when:` away from the backup, or give it to both"),
                None => Diagnostic::error(
                    "no-backup",
                    format!("`{id}` changes machines, but no backup of them always comes before it"),
                    step.id.place,
                )
                .hint(
                    "add a step that uses `aws/snapshot` (or says `backs_up: true`) and `needs` it here, or say `way_back: none` and `because: …`",
                ),
            };
            self.report(problem);
            return;
        }
        // Branches that are not there were reported.
        if step.on_failure.iter().any(|branch| at.find(&branch.value).is_none()) {
            return;
        }
        let backup = book.levels[backups[0].0].steps[backups[0].1].id.value.as_str();
        let mut why = None;
        for branch in step.on_failure.iter().filter_map(|branch| at.find(&branch.value)) {
            match self.restores(book, level, index, branch, &backups) {
                Ok(()) => return,
                Err(reason) => why = why.or(reason),
            }
        }
        let problem = Diagnostic::error(
            "no-way-back",
            why.unwrap_or_else(|| {
                format!("`{id}` changes machines, but no step that its `on_failure` names restores them from `{backup}`")
            }),
            step.id.place,
        );
        let restoring =
            at.steps.iter().enumerate().find(|(index, step)| {
                at.docs[*index].is_some_and(|doc| doc.restores) || step.restores.is_some()
            });
        self.report(match restoring {
            Some((_, restoring)) if step.on_failure.iter().all(|branch| branch.value != restoring.id.value) => {
                problem.hint(format!("add `on_failure: [{}]`, or say `way_back: none` and `because: …`", restoring.id.value))
            }
            Some(_) => problem,
            None => problem.hint(format!(
                "add a step that uses `aws/restore` with `from: {backup}` and name it: `on_failure: [restore]`; or say `way_back: none` and `because: …`"
            )),
        });
    }

    /// The backups of a step's machines that have been made whenever it starts; or one that would be, but for a
    /// `when:`.
    fn backups_before(
        &self,
        book: &Book<'r>,
        level: usize,
        index: usize,
        when: Option<&Spanned<String>>,
    ) -> (Vec<At>, Option<&'r Step>) {
        let at = &book.levels[level];
        let same_when = |step: &Step| step.when.is_none() || same(step.when.as_ref(), when);
        let mut before = at.before(index, same_when);
        // What names a branch step may have failed: a backup there is none.
        before.retain(|earlier| !at.namers[index].contains(earlier));
        let mut conditional = None;
        let mut backups = Vec::new();
        for earlier in before {
            let step = &at.steps[earlier];
            if !self.backs_up(step) || !covers(book, level, earlier, index) {
                continue;
            }
            if same_when(step) {
                backups.push((level, earlier));
            } else {
                conditional = Some(step);
            }
        }
        if !backups.is_empty() || book.callers[level].is_empty() || Book::group_of(&at.steps[index]).is_some()
        {
            return (backups, conditional);
        }
        // Around the block: every composite that runs it must come behind a backup.
        for &(caller_level, caller) in &book.callers[level] {
            let (outer, under_when) = self.backups_before(book, caller_level, caller, when);
            conditional = conditional.or(under_when);
            if outer.is_empty() {
                return (Vec::new(), conditional);
            }
            backups.extend(outer);
        }
        (backups, conditional)
    }

    /// Whether a branch step restores the machines of a changing step from one of these backups; else why not, where
    /// it looks as if it should.
    fn restores(
        &self,
        book: &Book<'r>,
        level: usize,
        changing: usize,
        branch: usize,
        backups: &[At],
    ) -> Result<(), Option<String>> {
        let at = &book.levels[level];
        let (step, branch_step) = (&at.steps[changing], &at.steps[branch]);
        let (id, branch_id) = (&step.id.value, &branch_step.id.value);
        if let Some(block) = book.block_of(branch_step) {
            let inner = &book.levels[block];
            let found = (0..inner.steps.len())
                .any(|index| self.restores_from(book, block, index, backups) == Some(true));
            return if found { Ok(()) } else { Err(None) };
        }
        match self.restores_from(book, level, branch, backups) {
            None => return Err(None),
            Some(false) => {
                return Err(Some(format!(
                    "`{branch_id}` restores, but not from a backup that always comes before `{id}`"
                )));
            }
            Some(true) => {}
        }
        if branch_step.when.is_some() && !same(branch_step.when.as_ref(), step.when.as_ref()) {
            return Err(Some(format!("`{branch_id}` is under `when:`, and `{id}` is not under the same")));
        }
        match branch_step.targets.as_ref().map(|targets| &targets.value) {
            Some(StepTargets::FailedIn(steps) | StepTargets::TouchedBy(steps)) => {
                let named = |reference: &Spanned<String>| {
                    book.resolved(level, reference).and_then(|found| found.at) == Some((level, changing))
                };
                if steps.iter().any(named) {
                    Ok(())
                } else {
                    Err(Some(format!(
                        "`{branch_id}` restores, but `{id}` is not among the steps whose machines it takes"
                    )))
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether a step restores from one of these backups; `None` when it does not restore.
    fn restores_from(&self, book: &Book<'r>, level: usize, index: usize, backups: &[At]) -> Option<bool> {
        let at = &book.levels[level];
        let step = &at.steps[index];
        let from = match &step.restores {
            Some(restores) => Some(restores.value.as_str()),
            // An action that nobody knows may restore: it was reported already.
            None if at.docs[index].is_none() && matches!(step.what, What::Uses(_)) => return Some(true),
            None if at.docs[index].is_some_and(|doc| doc.restores) => step
                .with
                .iter()
                .find(|input| input.key.value == "from")
                .and_then(|input| input.value.value.as_str()),
            None => return None,
        };
        // A missing or unknown `from` was reported.
        let Some(found) = from.and_then(|from| book.resolve(level, from)) else { return Some(true) };
        Some(found.at.is_some_and(|at| backups.contains(&at)))
    }

    /// A restoring branch is verified by the checks beside it.
    fn verified(&mut self, book: &Book<'r>, level: usize, index: usize) {
        let at = &book.levels[level];
        if !at.is_branch(index) || matches!(at.site, Site::Finally) {
            return;
        }
        let checked = (0..at.steps.len()).any(|other| match (&at.steps[other].what, at.docs[other]) {
            (What::Uses(_), Some(doc)) => doc.is_check() && !at.is_branch(other),
            (What::Uses(_), None) => true,
            _ => false,
        });
        if !checked {
            let step = &at.steps[index];
            let message = format!(
                "`{}` restores machines, but no check beside it can say that they are well again",
                step.id.value
            );
            self.report(
                Diagnostic::error("restore-without-check", message, step.id.place)
                    .hint("add a `check/*` step: it runs after the restore too, and only then a machine counts as restored"),
            );
        }
    }
}

fn knows(kind: &InputKind, given: &serde_json::Value) -> bool {
    match kind {
        InputKind::Enum(words) => given.as_str().is_some_and(|given| words.contains(&given)),
        _ => true,
    }
}

fn same(a: Option<&Spanned<String>>, b: Option<&Spanned<String>>) -> bool {
    let text =
        |when: Option<&Spanned<String>>| when.map(|when| when.value.split_whitespace().collect::<String>());
    text(a) == text(b)
}

/// Whether the machines of one step are all among those of another (of the same level).
fn covers(book: &Book<'_>, level: usize, backup: usize, changing: usize) -> bool {
    let at = &book.levels[level];
    let group = |index: usize| {
        Book::group_of(&at.steps[index])
            .or_else(|| at.namers[index].iter().find_map(|namer| Book::group_of(&at.steps[*namer])))
    };
    match group(backup) {
        // In a block: all machines of the wave.
        None => book.has_targets(level, backup),
        backup => backup == group(changing),
    }
}
