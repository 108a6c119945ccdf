//! Laying the document out over machines: blocks per wave, a task for every step in them.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::Value;

use super::{
    Scope, ScopeKind,
    draft::{Draft, Expansion, Instance, Need, Node, RolloutDraft, join},
    machines::Machines,
    problems::Problems,
    render::Rendering,
    share::Share,
};
use crate::{
    catalog::Catalog,
    diagnostic::{Diagnostic, Place},
    document::{
        model::{Runbook, Spanned, Step, What},
        params,
    },
    ids::ScopeName,
};

/// How deep composites may stand in each other.
const DEEPEST: usize = 32;

/// Walks the document.
pub(super) struct Expander<'a> {
    pub(super) runbook: &'a Runbook,
    pub(super) catalog: &'a dyn Catalog,
    pub(super) machines: &'a Machines,
    pub(super) rendering: &'a Rendering,
    pub(super) params: BTreeMap<String, Value>,
    pub(super) scopes: Vec<Scope>,
    pub(super) instances: Vec<Instance<'a>>,
    pub(super) drafts: Vec<Draft<'a>>,
    pub(super) rollouts: Vec<RolloutDraft>,
    pub(super) windows: Vec<(usize, Rc<[Need<'a>]>)>,
    pub(super) problems: Problems,
}

impl<'a> Expander<'a> {
    pub(super) fn new(
        runbook: &'a Runbook,
        catalog: &'a dyn Catalog,
        machines: &'a Machines,
        rendering: &'a Rendering,
        params: BTreeMap<String, Value>,
    ) -> Self {
        Self {
            runbook,
            catalog,
            machines,
            rendering,
            params,
            scopes: Vec::new(),
            instances: Vec::new(),
            drafts: Vec::new(),
            rollouts: Vec::new(),
            windows: Vec::new(),
            problems: Problems::default(),
        }
    }

    pub(super) fn finish(self) -> Expansion<'a> {
        Expansion {
            scopes: self.scopes,
            instances: self.instances,
            drafts: self.drafts,
            rollouts: self.rollouts,
            windows: self.windows,
            coverage: BTreeMap::new(),
            problems: self.problems,
        }
    }

    /// The whole document.
    pub(super) fn expand(&mut self) {
        self.scope("", None, ScopeKind::Root, None);
        let root = self.root(self.runbook.steps.iter().collect(), "", false);
        self.steps(root);
        if !self.runbook.finally.is_empty() {
            self.scope("finally", Some(""), ScopeKind::Finally, None);
            let finally = self.root(self.runbook.finally.iter().collect(), "finally", true);
            self.steps(finally);
        }
    }

    fn root(&mut self, steps: Vec<&'a Step>, prefix: &str, finally: bool) -> usize {
        let instance = Instance {
            parent: finally.then_some(0),
            continues: false,
            file: false,
            runbook: self.runbook,
            path: prefix.into(),
            prefix: prefix.into(),
            scope: prefix.into(),
            targets: None,
            branches: branches(&steps),
            steps,
            params: Rc::new(self.params.clone()),
            wave: None,
            skip: None,
            when: None,
            inherited: Rc::new([]),
            finally,
            in_branch: false,
            depth: 0,
            nodes: BTreeMap::new(),
        };
        self.instances.push(instance);
        self.instances.len() - 1
    }

    pub(super) fn scope(
        &mut self,
        name: &str,
        parent: Option<&str>,
        kind: ScopeKind,
        after: Option<ScopeName>,
    ) {
        self.scopes.push(Scope { name: name.into(), parent: parent.map(ScopeName::from), kind, after });
    }

    pub(super) fn steps(&mut self, at: usize) {
        // Branch steps last: where only one plain step in waves leads to them, they were laid out with its waves.
        let instance = &self.instances[at];
        let is_branch = |step: &&Step| instance.branches.contains(step.id.value.as_str());
        let (branches, ordinary): (Vec<&'a Step>, Vec<&'a Step>) =
            instance.steps.iter().copied().partition(is_branch);
        for step in ordinary.into_iter().chain(branches) {
            let node = match &step.what {
                What::Uses(action) => self.plain(at, step, action),
                What::Block(name) => self.block(at, step, name),
                What::File { runbook, .. } => self.file(at, step, runbook.as_deref()),
            };
            self.instances[at].nodes.entry(&step.id.value).or_insert(node);
        }
    }

    fn plain(&mut self, at: usize, step: &'a Step, action: &Spanned<String>) -> Node {
        let Some(doc) = self.catalog.action(&action.value) else {
            let message = format!("there is no action `{}`", action.value);
            self.problems.add(Diagnostic::error("unknown-action", message, action.place));
            return Node::default();
        };
        if self.instances[at].nodes.contains_key(step.id.value.as_str()) {
            return Node::default();
        }
        let share = self.share(at, step, Some(doc.targets));
        let instance = &self.instances[at];
        let branch = instance.branches.contains(step.id.value.as_str()) || instance.in_branch;
        let rolls = share.own && instance.targets.is_none() || step.rollout.is_some() && share.list.is_some();
        if rolls && !branch && !instance.finally && !instance.continues {
            return self.roll(at, step, share, None);
        }
        let name = join(&instance.prefix, &step.id.value);
        let task = self.task(at, step, doc, name, share);
        Node { tasks: vec![task], ..Node::default() }
    }

    fn block(&mut self, at: usize, step: &'a Step, name: &Spanned<String>) -> Node {
        let runbook = self.instances[at].runbook;
        let Some(block) = runbook.blocks.iter().find(|block| block.name.value == name.value) else {
            let message = format!("there is no block `{}`", name.value);
            self.problems.add(Diagnostic::error("unknown-block", message, name.place));
            return Node::default();
        };
        let inside = Inside {
            runbook,
            steps: block.steps.iter().collect(),
            params: Rc::clone(&self.instances[at].params),
            file: false,
        };
        self.composite(at, step, inside, name.place)
    }

    fn file(&mut self, at: usize, step: &'a Step, file: Option<&'a Runbook>) -> Node {
        // One that could not be read has a diagnostic of its own.
        let Some(file) = file else { return Node::default() };
        let scope = self.rendering.scope(&self.instances[at].params);
        let mut given = BTreeMap::new();
        for input in &step.with {
            match self.rendering.when(&input.value.value) {
                Ok(super::render::When::Now) | Err(_) => {
                    let value = self.rendering.value(&input.value, &scope, &mut self.problems);
                    given.insert(input.key.value.clone(), value);
                }
                Ok(_) => {
                    let message =
                        format!("the parameter `{}` must be known when the plan is made", input.key.value);
                    let problem = Diagnostic::error("late-param", message, input.value.place);
                    self.problems.add(problem.hint("use `params` and `env` only"));
                }
            }
        }
        let params = params::resolve(file, &given).unwrap_or_else(|problems| {
            for problem in problems {
                // Said of the file; what is wrong is what was handed to it.
                self.problems.add(Diagnostic { place: step.id.place, ..problem });
            }
            BTreeMap::new()
        });
        let inside =
            Inside { runbook: file, steps: file.steps.iter().collect(), params: Rc::new(params), file: true };
        self.composite(at, step, inside, step.id.place)
    }

    fn composite(&mut self, at: usize, step: &'a Step, inside: Inside<'a>, place: Place) -> Node {
        if self.instances[at].depth >= DEEPEST {
            let message = format!("composites stand in each other more than {DEEPEST} deep");
            self.problems.add(Diagnostic::error("too-deep", message, place));
            return Node::default();
        }
        let share = self.share(at, step, None);
        let instance = &self.instances[at];
        let branch = instance.branches.contains(step.id.value.as_str());
        let rolls = share.own && instance.targets.is_none() || step.rollout.is_some() && share.list.is_some();
        let ordinary = !branch && !instance.in_branch && !instance.finally;
        if rolls && ordinary {
            return self.roll(at, step, share, Some(inside));
        }
        let path = join(&instance.path, &step.id.value);
        let prefix = join(&instance.prefix, &step.id.value);
        let mut scope = instance.scope.clone();
        let whole = ordinary && instance.parent.is_none();
        if whole {
            scope = prefix.as_str().into();
            let kind =
                ScopeKind::Rollout { step: path.as_str().into(), targets: Vec::new(), max_failures: 0 };
            self.scope(&prefix, Some(""), kind, None);
        }
        let wave = self.instances[at].wave;
        let child =
            self.inside(at, step, &inside, Site { path, prefix, scope: scope.clone(), wave }, &share, &[]);
        self.instances[child].in_branch |= branch;
        self.steps(child);
        Node { scope: whole.then_some(scope), children: vec![child], ..Node::default() }
    }

    /// A composite's instance.
    pub(super) fn inside(
        &mut self,
        at: usize,
        step: &'a Step,
        inside: &Inside<'a>,
        place: Site,
        share: &Share,
        more: &[Need<'a>],
    ) -> usize {
        let inherited: Rc<[Need<'a>]> =
            self.needs(at, step).into_iter().chain(more.iter().cloned()).collect();
        let outer = &self.instances[at];
        let instance = Instance {
            parent: Some(at),
            continues: false,
            file: inside.file,
            runbook: inside.runbook,
            path: place.path,
            prefix: place.prefix,
            scope: place.scope,
            targets: share.list.clone(),
            branches: branches(&inside.steps),
            steps: inside.steps.clone(),
            params: Rc::clone(&inside.params),
            wave: place.wave,
            skip: share.skip.clone(),
            when: share.when.clone(),
            inherited,
            finally: outer.finally,
            in_branch: outer.in_branch,
            depth: outer.depth + 1,
            nodes: BTreeMap::new(),
        };
        self.instances.push(instance);
        self.instances.len() - 1
    }

    /// What a step needs, as written, or else what its block needs.
    pub(super) fn needs(&self, at: usize, step: &'a Step) -> Vec<Need<'a>> {
        let instance = &self.instances[at];
        if !step.needs.is_empty() {
            step.needs.iter().map(|need| Need::Step(at, need)).collect()
        } else if instance.branches.contains(step.id.value.as_str()) {
            Vec::new()
        } else {
            instance.inherited.to_vec()
        }
    }
}

/// The steps that a composite runs, and what they see.
pub(super) struct Inside<'a> {
    pub(super) runbook: &'a Runbook,
    pub(super) steps: Vec<&'a Step>,
    pub(super) params: Rc<BTreeMap<String, Value>>,
    pub(super) file: bool,
}

/// Where an instance stands.
pub(super) struct Site {
    pub(super) path: String,
    pub(super) prefix: String,
    pub(super) scope: ScopeName,
    pub(super) wave: Option<u32>,
}

/// The ids that `on_failure` of these steps name.
fn branches<'a>(steps: &[&'a Step]) -> std::collections::BTreeSet<&'a str> {
    steps.iter().flat_map(|step| &step.on_failure).map(|id| id.value.as_str()).collect()
}
