//! `rollout:`: waves, budgets, soaks, windows.

use super::{
    Check,
    book::{Book, Site},
};
use crate::{
    diagnostic::Diagnostic,
    document::{
        model::{Amount, Rollout, Spanned, StepTargets, TargetSpec, What},
        suggestion::nearest,
    },
};

impl<'r> Check<'r> {
    pub(super) fn rollout(&mut self, book: &Book<'r>, level: usize, index: usize) {
        let step = &book.levels[level].steps[index];
        let Some(rollout) = &step.rollout else { return };
        let outermost = matches!(book.levels[level].site, Site::Root | Site::Finally) && !book.outer.file;
        if outermost && !book.has_targets(level, index) {
            let hint = self.some_group();
            self.report(
                Diagnostic::error(
                    "rollout-without-targets",
                    "a `rollout` divides targets, but the step has none",
                    rollout.place,
                )
                .hint(hint),
            );
        }
        self.waves(rollout);
        self.budget(rollout);
        self.soak(book, level, index, rollout);
        if let Some(window) = &rollout.window {
            self.window_reference(book, level, window);
        }
        if let Some(StepTargets::Group(group)) = step.targets.as_ref().map(|targets| &targets.value) {
            self.canaries(group, rollout);
        }
    }

    fn waves(&mut self, rollout: &Rollout) {
        let mut before: [Option<Amount>; 2] = [None, None];
        for wave in &rollout.waves {
            let (kind, size) = match wave.value {
                Amount::Count(size) => (0, size),
                Amount::Percent(size) => (1, size),
            };
            if size == 0 {
                self.report(Diagnostic::error("empty-wave", "a wave of nothing", wave.place).hint(
                    "entries are cumulative: [1, 10%, 100%] is one machine, then up to a tenth, then all",
                ));
                continue;
            }
            if kind == 1 && size > 100 {
                self.over_100(wave);
                continue;
            }
            let last = match before[kind] {
                Some(Amount::Count(last) | Amount::Percent(last)) => last,
                None => 0,
            };
            if size < last {
                let message = format!(
                    "{} comes after {}: waves are cumulative",
                    written(wave.value),
                    before[kind].map_or_else(String::new, written)
                );
                self.report(
                    Diagnostic::error("descending-waves", message, wave.place)
                        .hint("write how many machines have been done when the wave ends"),
                );
            } else {
                before[kind] = Some(wave.value);
            }
        }
    }

    fn budget(&mut self, rollout: &Rollout) {
        if let Some(budget) = &rollout.max_failures {
            match budget.value {
                Amount::Percent(100) => self.report(
                    Diagnostic::error(
                        "budget-without-limit",
                        "a budget of 100% never stops anything",
                        budget.place,
                    )
                    .hint("say how many machines may fail before the rollout stops, like 2%"),
                ),
                Amount::Percent(share) if share > 100 => self.over_100(budget),
                _ => {}
            }
        }
        if let Some(limit) = &rollout.max_in_flight {
            match limit.value {
                Amount::Count(0) | Amount::Percent(0) => self.report(
                    Diagnostic::error(
                        "zero-in-flight",
                        "`max_in_flight` of nothing starts nothing",
                        limit.place,
                    )
                    .hint("leave it out for no limit"),
                ),
                Amount::Percent(share) if share > 100 => self.over_100(limit),
                _ => {}
            }
        }
    }

    fn over_100(&mut self, amount: &Spanned<Amount>) {
        let message = format!("{} is more than all", written(amount.value));
        self.report(Diagnostic::error("share-over-100", message, amount.place));
    }

    fn soak(&mut self, book: &Book<'r>, level: usize, index: usize, rollout: &Rollout) {
        let Some(soak) = &rollout.soak else { return };
        let step = &book.levels[level].steps[index];
        let checks = |steps: &[crate::document::model::Step]| {
            steps.iter().any(|step| match &step.what {
                What::Uses(action) => self.catalog.action(&action.value).is_none_or(|doc| doc.is_check()),
                What::Block(_) | What::File { .. } => true,
            })
        };
        let checked = match &step.what {
            What::Uses(_) => checks(std::slice::from_ref(step)),
            What::Block(_) => book.block_of(step).is_none_or(|block| checks(book.levels[block].steps)),
            What::File { runbook, .. } => runbook.as_deref().is_none_or(|file| checks(&file.steps)),
        };
        if !checked {
            self.report(
                Diagnostic::warning("soak-without-checks", "nothing is checked after this soak", soak.place)
                    .hint("add a `check/*` step to what runs in the waves: it runs again after every soak"),
            );
        }
    }

    fn window_reference(&mut self, book: &Book<'r>, level: usize, window: &Spanned<String>) {
        match book.resolved(level, window) {
            None => self.unknown_step(book, level, window),
            Some(found) if !matches!(&found.step.what, What::Uses(action) if action.value == "gate/window") =>
            {
                let message = format!("`{}` is not a `gate/window`", window.value);
                self.report(
                    Diagnostic::error("not-a-window", message, window.place)
                        .hint("name a step that uses `gate/window`; it is asked again before every wave"),
                );
            }
            Some(_) => {}
        }
    }

    /// Canaries that are not among the hosts, where the hosts are written down.
    fn canaries(&mut self, group: &str, rollout: &Rollout) {
        let Some(group) = self.entry.targets.iter().find(|known| known.name.value == group) else { return };
        let TargetSpec::Hosts(hosts) = &group.spec else { return };
        for canary in &rollout.first {
            let known = || hosts.iter().map(|host| host.name.value.as_str());
            if known().any(|host| host == canary.value) {
                continue;
            }
            let message = format!("`{}` has no host `{}`", group.name.value, canary.value);
            let problem = Diagnostic::error("unknown-host", message, canary.place);
            self.report(match nearest(&canary.value, known()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
    }
}

fn written(amount: Amount) -> String {
    match amount {
        Amount::Count(count) => count.to_string(),
        Amount::Percent(share) => format!("{share}%"),
    }
}
