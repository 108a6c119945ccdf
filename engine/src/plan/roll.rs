//! Rollouts: scopes for waves, parts and soaks, and the steps in each.

use std::{collections::BTreeSet, rc::Rc};

use super::{
    Role, ScopeKind,
    draft::{Instance, Need, Node, RolloutDraft, WaveDraft, join},
    expand::{Expander, Inside, Site},
    making::List,
    share::Share,
    waves,
};
use crate::{
    diagnostic::Diagnostic,
    document::model::{Amount, Rollout, Step, What},
    ids::{ScopeName, TargetId},
};

impl<'a> Expander<'a> {
    /// A composite (`inside`) or a plain step, wave by wave.
    pub(super) fn roll(
        &mut self,
        at: usize,
        step: &'a Step,
        share: Share,
        inside: Option<Inside<'a>>,
    ) -> Node {
        let outer = &self.instances[at];
        let name = join(&outer.prefix, &step.id.value);
        let path = join(&outer.path, &step.id.value);
        let parent = outer.scope.clone();
        let all = share.list.clone().unwrap_or_else(|| Rc::new([]));
        let rollout = step.rollout.as_ref();
        let budget = rollout.and_then(|rollout| rollout.max_failures.as_ref());
        let kind = ScopeKind::Rollout {
            step: path.as_str().into(),
            targets: all.to_vec(),
            max_failures: budget.map_or(0, |amount| amount.value.of_rounded_down(all.len()) as u32),
        };
        self.scope(&name, Some(parent.as_str()), kind, None);
        self.check_canaries(at, rollout, &all);
        let skipped = share.skip.is_some();
        let cut = waves::cut(&all, rollout, |id| self.machines.target(id));
        let of = cut.len() as u32;
        let mut node =
            Node { scope: Some(name.as_str().into()), plain_in_waves: inside.is_none(), ..Node::default() };
        let soak =
            rollout.and_then(|rollout| rollout.soak.as_ref()).map(|soak| soak.value).filter(|_| !skipped);
        let mut draft = RolloutDraft { path: path.clone(), soak, waves: Vec::new() };
        let mut before: Option<ScopeName> = None;
        for (number, wave) in (1..).zip(cut) {
            let targets: List = wave.into();
            let scope = format!("{name}/wave-{number}");
            let kind = ScopeKind::Wave { number, of, targets: targets.to_vec() };
            self.scope(&scope, Some(&name), kind, before.replace(scope.as_str().into()));
            let window =
                rollout.filter(|_| !skipped).and_then(|rollout| self.window(at, step, rollout, &scope));
            let limit = rollout.and_then(|rollout| rollout.max_in_flight.as_ref()).map(|limit| limit.value);
            let leaves = self.parts(&scope, &targets, limit, all.len());
            let mut wave = WaveDraft { targets, instances: Vec::new(), soak: None };
            for (leaf, targets) in leaves {
                let share = Share { list: Some(targets), own: false, narrow: false, ..share.clone() };
                let place = Site {
                    path: path.clone(),
                    prefix: leaf.clone(),
                    scope: leaf.as_str().into(),
                    wave: self.instances[at].wave.or(Some(number)),
                };
                let child = match &inside {
                    Some(inside) => {
                        let child = self.inside(at, step, inside, place, &share, window.as_slice());
                        self.steps(child);
                        child
                    }
                    None => self.plain_wave(at, step, place, share, window.as_slice(), &mut node),
                };
                node.children.push(child);
                wave.instances.push(child);
            }
            if soak.is_some() {
                let soak = format!("{scope}/soak");
                self.scope(&soak, Some(&name), ScopeKind::Soak { wave: number }, Some(scope.as_str().into()));
                before = Some(soak.as_str().into());
                wave.soak = before.clone();
            }
            draft.waves.push(wave);
        }
        if !skipped {
            self.rollouts.push(draft);
        }
        node
    }

    /// The parts of a wave with their scopes; the wave itself when it has only one.
    fn parts(
        &mut self,
        wave: &str,
        targets: &List,
        limit: Option<Amount>,
        total: usize,
    ) -> Vec<(String, List)> {
        let parts: Vec<List> = waves::parts(targets, limit, total).into_iter().map(Rc::from).collect();
        if parts.len() == 1 {
            return vec![(wave.to_owned(), Rc::clone(targets))];
        }
        let mut before: Option<ScopeName> = None;
        let mut leaves = Vec::new();
        for (number, part) in (1..).zip(parts) {
            let name = format!("{wave}/part-{number}");
            let kind = ScopeKind::Part { number, targets: part.to_vec() };
            self.scope(&name, Some(wave), kind, before.replace(name.as_str().into()));
            leaves.push((name, part));
        }
        leaves
    }

    /// One wave of a plain step, with the branch steps that only it leads to.
    fn plain_wave(
        &mut self,
        at: usize,
        step: &'a Step,
        place: Site,
        share: Share,
        more: &[Need<'a>],
        node: &mut Node,
    ) -> usize {
        let owned = self.owned_branches(at, step);
        let inherited: Rc<[Need<'a>]> =
            self.needs(at, step).into_iter().chain(more.iter().cloned()).collect();
        let outer = &self.instances[at];
        let name = place.prefix.clone();
        let instance = Instance {
            parent: Some(at),
            continues: true,
            file: false,
            runbook: outer.runbook,
            path: outer.path.clone(),
            prefix: place.prefix,
            scope: place.scope,
            targets: share.list.clone(),
            branches: owned.iter().map(|step| step.id.value.as_str()).collect(),
            steps: std::iter::once(step).chain(owned.iter().copied()).collect(),
            params: Rc::clone(&outer.params),
            wave: place.wave,
            skip: share.skip.clone(),
            when: outer.when.clone(),
            inherited,
            finally: false,
            in_branch: false,
            depth: outer.depth + 1,
            nodes: Default::default(),
        };
        self.instances.push(instance);
        let child = self.instances.len() - 1;
        if let What::Uses(action) = &step.what
            && let Some(doc) = self.catalog.action(&action.value)
        {
            let task = self.task(child, step, doc, name, share);
            node.tasks.push(task);
            self.instances[child].nodes.insert(&step.id.value, Node { tasks: vec![task], ..Node::default() });
        }
        self.steps(child);
        for branch in owned {
            let id = branch.id.value.as_str();
            let new = self.instances[child].nodes.get(id).cloned().unwrap_or_default();
            let all = self.instances[at].nodes.entry(id).or_default();
            all.plain_in_waves = true;
            all.tasks.extend(new.tasks);
            all.children.push(child);
        }
        child
    }

    /// The plain branch steps of an instance that nothing but this step (or such a branch) leads to: they run with each
    /// of its waves.
    fn owned_branches(&self, at: usize, step: &'a Step) -> Vec<&'a Step> {
        let steps = &self.instances[at].steps;
        let mut owned: BTreeSet<&str> = BTreeSet::from([step.id.value.as_str()]);
        let mut list: Vec<&'a Step> = Vec::new();
        loop {
            let next = steps.iter().find(|branch| {
                let id = branch.id.value.as_str();
                let mut namers = steps
                    .iter()
                    .filter(|namer| namer.on_failure.iter().any(|name| name.value == id))
                    .peekable();
                !owned.contains(id)
                    && matches!(branch.what, What::Uses(_))
                    && namers.peek().is_some()
                    && namers.all(|namer| owned.contains(namer.id.value.as_str()))
            });
            match next {
                Some(branch) => {
                    owned.insert(&branch.id.value);
                    list.push(branch);
                }
                None => break,
            }
        }
        list.sort_by_key(|branch| steps.iter().position(|step| std::ptr::eq(*step, *branch)));
        list
    }

    /// The window asked again before a wave.
    fn window(&mut self, at: usize, step: &'a Step, rollout: &'a Rollout, wave: &str) -> Option<Need<'a>> {
        let name = rollout.window.as_ref()?;
        let mut home = Some(at);
        let (home, gate) = loop {
            let Some(instance) = home else {
                let message = format!("there is no step `{}`", name.value);
                self.problems.add(Diagnostic::error("unknown-step", message, name.place));
                return None;
            };
            let found = self.instances[instance].steps.iter().find(|step| step.id.value == name.value);
            if let Some(gate) = found {
                break (instance, *gate);
            }
            home = self.instances[instance].parent;
        };
        let doc = match &gate.what {
            What::Uses(action) if action.value == "gate/window" => self.catalog.action(&action.value),
            _ => None,
        };
        let Some(doc) = doc else {
            let message = format!("`{}` is not a `gate/window` step", name.value);
            self.problems.add(Diagnostic::error("not-a-window", message, name.place));
            return None;
        };
        let mut share = Share { when: self.instances[home].when.clone(), ..Share::default() };
        self.decide(home, gate, &mut share);
        if share.skip.is_some() {
            return None;
        }
        let task = format!("{wave}/window");
        let draft = self.task(home, gate, doc, task.clone(), share);
        let needs: Rc<[Need<'a>]> = self.needs(at, step).into();
        let window = &mut self.drafts[draft];
        window.instance = at;
        window.task.scope = wave.into();
        window.task.role = Role::Window;
        self.windows.push((draft, needs));
        Some(Need::Task(task))
    }

    /// A canary that is nowhere is a mistake, unless `--limit` took it out.
    fn check_canaries(&mut self, at: usize, rollout: Option<&Rollout>, all: &[TargetId]) {
        for canary in rollout.into_iter().flat_map(|rollout| &rollout.first) {
            let is = |id: &TargetId| {
                id.as_str() == canary.value
                    || self.machines.target(id).is_some_and(|target| target.name == canary.value)
            };
            if !all.iter().any(is) && !self.machines.limited() && self.instances[at].targets.is_none() {
                let message = format!("no machine of this step is called `{}`", canary.value);
                self.problems.add(Diagnostic::error("unknown-machine", message, canary.place));
            }
        }
    }
}
