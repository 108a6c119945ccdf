//! Which tasks restore what a task changes: as the plan leads there, wherever they stand.

use std::collections::{BTreeSet, HashMap};

use runbook_engine::{
    ids::{ScopeName, TaskName},
    plan::{Plan, Role, Task},
};

/// The restoring tasks of each changing step of a plan, by their places in it.
#[derive(Debug, Default)]
pub(super) struct WaysBack(HashMap<TaskName, Vec<usize>>);

impl WaysBack {
    /// Of a plan.
    pub fn of(plan: &Plan) -> Self {
        let book = Book::of(plan);
        let mut of_scope: HashMap<&ScopeName, BTreeSet<usize>> = HashMap::new();
        let mut ways = HashMap::new();
        for (at, task) in plan.tasks.iter().enumerate() {
            if !task.effect.may_change() || task.role != Role::Step {
                continue;
            }
            let mut found = book.led_to(&[at]);
            // What its own failure does not lead to restores it when another step of its wave finds it sick.
            if found.is_empty() && task.no_way_back.is_none() {
                let beside = of_scope.entry(&task.scope).or_insert_with(|| book.of_scope(&task.scope));
                found.clone_from(beside);
            }
            if !found.is_empty() {
                ways.insert(task.name.clone(), found.into_iter().collect());
            }
        }
        Self(ways)
    }

    /// The places of the tasks that restore what this one changes.
    pub fn of_task(&self, task: &TaskName) -> &[usize] {
        self.0.get(task).map_or(&[], Vec::as_slice)
    }
}

struct Book<'p> {
    tasks: &'p [Task],
    index: HashMap<&'p TaskName, usize>,
    /// Steps, by the scope that they stand in.
    steps: HashMap<&'p ScopeName, Vec<usize>>,
    parents: HashMap<&'p ScopeName, Option<&'p ScopeName>>,
    /// Restoring branches of composites, by the composite's scope.
    around: HashMap<&'p str, Vec<usize>>,
}

impl<'p> Book<'p> {
    fn of(plan: &'p Plan) -> Self {
        let mut book = Self {
            tasks: &plan.tasks,
            index: HashMap::new(),
            steps: HashMap::new(),
            parents: plan.scopes.iter().map(|scope| (&scope.name, scope.parent.as_ref())).collect(),
            around: HashMap::new(),
        };
        for (at, task) in plan.tasks.iter().enumerate() {
            book.index.insert(&task.name, at);
            match &task.role {
                Role::Step => book.steps.entry(&task.scope).or_default().push(at),
                Role::Branch { of } if task.restores.is_some() => {
                    for name in of {
                        book.around.entry(name).or_default().push(at);
                    }
                }
                _ => {}
            }
        }
        book
    }

    /// The first restoring branches that the failure of these tasks leads to.
    fn led_to(&self, tasks: &[usize]) -> BTreeSet<usize> {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut ahead = tasks.to_vec();
        while let Some(at) = ahead.pop() {
            for branch in self.tasks[at].on_failure.iter().filter_map(|name| self.index.get(name)) {
                if self.tasks[*branch].restores.is_some() {
                    found.insert(*branch);
                } else if seen.insert(*branch) {
                    ahead.push(*branch);
                }
            }
        }
        found
    }

    /// Those of all steps of a wave, else those of the composites around it.
    fn of_scope(&self, scope: &'p ScopeName) -> BTreeSet<usize> {
        let mut found = self.led_to(self.steps.get(scope).map_or(&[], Vec::as_slice));
        let mut at = Some(scope).filter(|_| found.is_empty());
        while let Some(name) = at {
            found.extend(self.around.get(name.as_str()).into_iter().flatten());
            at = self.parents.get(name).copied().flatten();
        }
        found
    }
}
