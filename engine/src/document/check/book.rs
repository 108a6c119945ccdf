//! One file, with everything found by its name.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    catalog::{ActionDoc, Catalog, TargetsDoc},
    document::model::{Block, Runbook, Spanned, Step, StepTargets, What},
};

/// What stands around a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outer {
    /// It is read because `run:` names it.
    pub(super) file: bool,
    /// The step that runs it has targets.
    pub(super) targets: bool,
}

/// Where a list of steps stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Site<'r> {
    /// `steps:`.
    Root,
    /// A block.
    Block(&'r Block),
    /// `finally:`.
    Finally,
}

/// A list of steps that see each other by their ids.
#[derive(Debug)]
pub(super) struct Level<'r> {
    pub(super) site: Site<'r>,
    pub(super) steps: &'r [Step],
    /// What each uses; absent for composites and unknown actions.
    pub(super) docs: Vec<Option<&'r ActionDoc>>,
    /// The steps whose `on_failure` names it.
    pub(super) namers: Vec<Vec<usize>>,
    /// The steps that its `needs` names, or that the paths in it begin with.
    needs: Vec<Vec<usize>>,
    by_id: BTreeMap<&'r str, usize>,
}

impl<'r> Level<'r> {
    fn of(site: Site<'r>, steps: &'r [Step], catalog: &'r dyn Catalog) -> Self {
        let mut by_id = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            by_id.entry(step.id.value.as_str()).or_insert(index);
        }
        let mut namers = vec![Vec::new(); steps.len()];
        for (index, step) in steps.iter().enumerate() {
            for branch in &step.on_failure {
                if let Some(&branch) = by_id.get(branch.value.as_str()) {
                    namers[branch].push(index);
                }
            }
        }
        let docs = steps
            .iter()
            .map(|step| match &step.what {
                What::Uses(action) => catalog.action(&action.value),
                _ => None,
            })
            .collect();
        let head = |path: &str| by_id.get(path.split('/').next().unwrap_or_default()).copied();
        let needs = steps
            .iter()
            .map(|step| step.needs.iter().filter_map(|need| head(&need.value)).collect())
            .collect();
        Self { site, steps, docs, namers, needs, by_id }
    }

    /// A step by its id.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Whether only failure leads to it.
    pub(super) fn is_branch(&self, step: usize) -> bool {
        !self.namers[step].is_empty()
    }

    /// The ids of its steps.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'r str> + '_ {
        self.by_id.keys().copied()
    }

    /// The step that the first part of an id or path means here.
    pub(super) fn head(&self, reference: &str) -> Option<usize> {
        self.find(reference.split('/').next().unwrap_or_default())
    }

    /// Whether a step has ended whenever another one starts: that one needs it, or it leads to that one, directly or
    /// through others.
    pub(super) fn is_before(&self, earlier: usize, step: usize) -> bool {
        self.walk_back(step, |_| true, |at| at == earlier)
    }

    /// Every step that has ended when this one starts, going on only from steps that are let through.
    pub(super) fn before(&self, step: usize, through: impl Fn(&Step) -> bool) -> Vec<usize> {
        let mut before = Vec::new();
        self.walk_back(step, through, |at| {
            before.push(at);
            false
        });
        before
    }

    /// Visits what comes before a step, each once and the nearest first, until something is found.
    fn walk_back(
        &self,
        step: usize,
        through: impl Fn(&Step) -> bool,
        mut found: impl FnMut(usize) -> bool,
    ) -> bool {
        let mut seen = vec![false; self.steps.len()];
        let mut open = VecDeque::from([step]);
        while let Some(at) = open.pop_front() {
            if at != step && !through(&self.steps[at]) {
                continue;
            }
            for &earlier in self.needs[at].iter().chain(&self.namers[at]) {
                if !std::mem::replace(&mut seen[earlier], true) {
                    if earlier != step && found(earlier) {
                        return true;
                    }
                    open.push_back(earlier);
                }
            }
        }
        false
    }
}

/// A step that was found by its id or path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'r> {
    pub(super) step: &'r Step,
    /// Its level and index, unless it stands in another file.
    pub(super) at: Option<(usize, usize)>,
    /// The level and index of the step that its path begins with.
    pub(super) head: (usize, usize),
}

/// One file, with everything found by its name.
#[derive(Debug)]
pub(super) struct Book<'r> {
    pub(super) runbook: &'r Runbook,
    pub(super) outer: Outer,
    /// The root, then the blocks, then `finally`.
    pub(super) levels: Vec<Level<'r>>,
    /// The composites that run each level.
    pub(super) callers: Vec<Vec<(usize, usize)>>,
    /// Some block runs itself: nothing may follow composites to their end.
    pub(super) recursive: bool,
    blocks: BTreeMap<&'r str, usize>,
    /// Whether some composite runs the level with targets.
    targeted: Vec<bool>,
}

impl<'r> Book<'r> {
    pub(super) fn of(runbook: &'r Runbook, catalog: &'r dyn Catalog, outer: Outer) -> Self {
        let mut levels = vec![Level::of(Site::Root, &runbook.steps, catalog)];
        let mut blocks = BTreeMap::new();
        for block in &runbook.blocks {
            blocks.entry(block.name.value.as_str()).or_insert(levels.len());
            levels.push(Level::of(Site::Block(block), &block.steps, catalog));
        }
        if !runbook.finally.is_empty() {
            levels.push(Level::of(Site::Finally, &runbook.finally, catalog));
        }
        let mut callers = vec![Vec::new(); levels.len()];
        for (at, level) in levels.iter().enumerate() {
            for (index, step) in level.steps.iter().enumerate() {
                if let What::Block(name) = &step.what
                    && let Some(&block) = blocks.get(name.value.as_str())
                {
                    callers[block].push((at, index));
                }
            }
        }
        let targeted = vec![false; levels.len()];
        let mut book = Self { runbook, outer, levels, callers, recursive: false, blocks, targeted };
        book.spread_targets();
        book
    }

    /// Finds the levels that run with targets: a block has what its composites have.
    fn spread_targets(&mut self) {
        self.targeted[0] = self.outer.targets;
        let mut open: Vec<usize> = (0..self.levels.len()).collect();
        while let Some(level) = open.pop() {
            for step in 0..self.levels[level].steps.len() {
                if let Some(block) = self.block_of(&self.levels[level].steps[step])
                    && !self.targeted[block]
                    && self.has_targets(level, step)
                {
                    self.targeted[block] = true;
                    open.push(block);
                }
            }
        }
    }

    /// The level of the block that a step runs.
    pub(super) fn block_of(&self, step: &Step) -> Option<usize> {
        match &step.what {
            What::Block(name) => self.block(&name.value),
            _ => None,
        }
    }

    /// The level of a block.
    pub(super) fn block(&self, name: &str) -> Option<usize> {
        self.blocks.get(name).copied()
    }

    /// Whether a step may have targets. A step of a block that nothing runs may.
    pub(super) fn has_targets(&self, level: usize, step: usize) -> bool {
        let at = &self.levels[level];
        if at.docs[step].is_some_and(|doc| doc.targets == TargetsDoc::Never) {
            return false;
        }
        let unused = matches!(at.site, Site::Block(_)) && self.callers[level].is_empty();
        at.steps[step].targets.is_some()
            || self.targeted[level]
            || unused
            || at.namers[step].iter().any(|namer| at.steps[*namer].targets.is_some())
    }

    /// The group that a step names, if it names one.
    pub(super) fn group_of(step: &Step) -> Option<&str> {
        match step.targets.as_ref().map(|targets| &targets.value) {
            Some(StepTargets::Group(group)) => Some(group),
            _ => None,
        }
    }

    /// The step that an id or path means for a step of this level: its own level first, then from the root.
    pub(super) fn resolve(&self, level: usize, reference: &str) -> Option<Found<'r>> {
        self.walk(level, reference).or_else(|| if level == 0 { None } else { self.walk(0, reference) })
    }

    fn walk(&self, level: usize, path: &str) -> Option<Found<'r>> {
        let mut ids = path.split('/');
        let index = self.levels[level].find(ids.next()?)?;
        let mut found =
            Found { step: &self.levels[level].steps[index], at: Some((level, index)), head: (level, index) };
        // The levels of another file are not ours: there, steps are looked for one by one.
        let mut file: Option<&'r Runbook> = None;
        for id in ids {
            let (steps, inner): (&'r [Step], Option<usize>) = match &found.step.what {
                What::Uses(_) => return None,
                What::Block(name) => match file {
                    None => {
                        let block = self.block(&name.value)?;
                        (self.levels[block].steps, Some(block))
                    }
                    Some(file) => {
                        (&file.blocks.iter().find(|block| block.name.value == name.value)?.steps, None)
                    }
                },
                What::File { runbook, .. } => {
                    let runbook = runbook.as_deref()?;
                    file = Some(runbook);
                    (&runbook.steps, None)
                }
            };
            let index = steps.iter().position(|step| step.id.value == id)?;
            found = Found { step: &steps[index], at: inner.map(|level| (level, index)), head: found.head };
        }
        Some(found)
    }

    /// The step that a reference means, if there is one.
    pub(super) fn resolved(&self, level: usize, reference: &Spanned<String>) -> Option<Found<'r>> {
        self.resolve(level, &reference.value)
    }
}
