//! What a step works on: its machines, before they are divided, and whether it runs at all.

use std::{collections::BTreeSet, rc::Rc};

use super::{expand::Expander, making::List};
use crate::{
    catalog::TargetsDoc,
    document::model::{Spanned, Step, StepTargets, What},
    ids::TargetId,
};

/// What a step works on, and whether it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    /// Its machines; absent: none are wanted.
    pub(super) list: Option<List>,
    /// It names a group of its own.
    pub(super) own: bool,
    /// It has fewer machines than its instance.
    pub(super) narrow: bool,
    /// Why it is skipped.
    pub(super) skip: Option<String>,
    /// What only a run can decide.
    pub(super) when: Option<String>,
}

impl<'a> Expander<'a> {
    /// The machines of a step, before they are divided, and whether it runs at all. `wants` is what its action says;
    /// a composite takes what it gets.
    pub(super) fn share(&mut self, at: usize, step: &'a Step, wants: Option<TargetsDoc>) -> Share {
        let instance = &self.instances[at];
        let mut share =
            Share { skip: instance.skip.clone(), when: instance.when.clone(), ..Share::default() };
        if wants != Some(TargetsDoc::Never) {
            let (list, own, reason) = self.list(at, step, wants);
            share.narrow = own
                || matches!((&list, &instance.targets), (Some(list), Some(all)) if list.len() < all.len());
            share.list = list;
            share.own = own;
            share.skip = share.skip.or(reason);
        }
        if share.skip.is_none() {
            self.decide(at, step, &mut share);
        }
        share
    }

    /// The machines, whether the step names them itself, and why there are none.
    fn list(
        &self,
        at: usize,
        step: &Step,
        wants: Option<TargetsDoc>,
    ) -> (Option<List>, bool, Option<String>) {
        let instance = &self.instances[at];
        match step.targets.as_ref().map(|targets| &targets.value) {
            Some(StepTargets::Group(name)) => {
                // An unknown group was told when the groups were looked up.
                let Some(group) = self.machines.group(name) else { return (Some(Rc::new([])), true, None) };
                if self.machines.emptied_by_limit(name) {
                    return (Some(Rc::clone(group)), true, Some("--limit left no machine".into()));
                }
                let Some(all) = &instance.targets else { return (Some(Rc::clone(group)), true, None) };
                let inside: BTreeSet<&TargetId> = group.iter().collect();
                let list: List = all.iter().filter(|id| inside.contains(id)).cloned().collect();
                let reason = list.is_empty().then(|| format!("no machine of `{name}` here"));
                (Some(list), true, reason)
            }
            explicit => match &instance.targets {
                Some(all) => (Some(Rc::clone(all)), false, None),
                None => {
                    let branch = instance.branches.contains(step.id.value.as_str());
                    let list = branch.then(|| self.adopted(at, step, explicit.is_some(), wants)).flatten();
                    (list, false, None)
                }
            },
        }
    }

    /// Outside of waves a branch step takes the machines of the steps that name it. Named by composites and steps
    /// without machines only, it takes none unless it must.
    fn adopted(&self, at: usize, step: &Step, explicit: bool, wants: Option<TargetsDoc>) -> Option<List> {
        let instance = &self.instances[at];
        let mut all = Vec::new();
        let mut plain = explicit || wants == Some(TargetsDoc::Required);
        let mut names = vec![step.id.value.as_str()];
        let mut seen = BTreeSet::new();
        while let Some(name) = names.pop() {
            if !seen.insert(name) {
                continue;
            }
            for namer in
                instance.steps.iter().filter(|step| step.on_failure.iter().any(|id| id.value == name))
            {
                names.push(&namer.id.value);
                if let Some(Spanned { value: StepTargets::Group(group), .. }) = &namer.targets {
                    plain |= matches!(namer.what, What::Uses(_));
                    all.extend(self.machines.group(group).into_iter().flat_map(|list| list.iter().cloned()));
                }
            }
        }
        (plain && !all.is_empty()).then(|| self.machines.in_wave_order(all))
    }
}
