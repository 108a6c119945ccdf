//! A plan for a person: stages, waves, counts, gates, branches and the way back of each stage.

use std::{collections::BTreeMap, fmt::Write as _};

use runbook_engine::{
    ids::{ScopeName, TargetId},
    outcome::Effect,
    patchset::Part,
    plan::{Gate, Plan, Role, Scope, ScopeKind, Task, Work},
};

use super::{
    columns::columns,
    paint::Paint,
    patchset,
    times::Times,
    words::{count, gate, link as link_word, names, span},
};

/// How many machines a wave's line names one by one.
const MOST_NAMES: usize = 3;

/// The whole page.
pub fn page(plan: &Plan, paint: Paint) -> String {
    let view = View { plan, paint, times: Times::of(plan) };
    let mut text = view.heading();
    for unit in view.units(&ScopeName::new("")) {
        text.push('\n');
        match unit {
            Unit::Task(task) => text.push_str(&view.lone_task(task)),
            Unit::Scope(scope) => text.push_str(&view.stage(scope, 0)),
        }
    }
    text.push('\n');
    text.push_str(&view.total());
    text
}

/// The page's last lines alone: what `run` shows before it begins.
pub fn brief(plan: &Plan, paint: Paint) -> String {
    let view = View { plan, paint, times: Times::of(plan) };
    let mut rows = Vec::new();
    for unit in view.units(&ScopeName::new("")) {
        rows.push(match unit {
            Unit::Task(task) => vec![paint.bold(task.name.as_str()), view.what(task)],
            Unit::Scope(scope) => vec![paint.bold(view.title(scope)), view.size(scope)],
        });
    }
    format!("{}{}{}", view.heading(), columns(&rows, "  "), view.total())
}

struct View<'a> {
    plan: &'a Plan,
    paint: Paint,
    times: Times<'a>,
}

/// What stands directly in a scope.
#[derive(Clone, Copy)]
enum Unit<'a> {
    Task(&'a Task),
    Scope(&'a Scope),
}

impl<'a> View<'a> {
    fn heading(&self) -> String {
        let mut text = self.paint.bold(&self.plan.runbook);
        if let Some(description) = &self.plan.description {
            let _ = write!(text, "  {}", self.paint.dim(description.trim()));
        }
        text.push('\n');
        if let Some(link) = &self.plan.link {
            let _ = writeln!(text, "  {} of run {}", link_word(link.kind), link.run);
        }
        if !self.plan.params.is_empty() {
            let params: Vec<String> =
                self.plan.params.iter().map(|(name, value)| format!("{name}={}", scalar(value))).collect();
            let _ = writeln!(text, "  {}", self.paint.dim(&params.join("  ")));
        }
        text.push_str(&patchset::of_plan(self.plan));
        text
    }

    fn total(&self) -> String {
        let of =
            |test: fn(&ScopeKind) -> bool| self.plan.scopes.iter().filter(|scope| test(&scope.kind)).count();
        let gates = self
            .plan
            .tasks
            .iter()
            .filter(|task| task.action.as_str().starts_with("gate/") && task.role == Role::Step);
        format!(
            "{}{}, {}, {}, {}\nsha256 {}\n",
            self.times.of_all(),
            count(self.plan.tasks.len(), "task"),
            count(self.plan.targets.len(), "machine"),
            count(of(|kind| matches!(kind, ScopeKind::Wave { .. })), "wave"),
            count(gates.count(), "gate"),
            self.paint.bold(&self.plan.digest()),
        )
    }

    /// Tasks and scopes directly in a scope, in the order of the plan.
    fn units(&self, parent: &ScopeName) -> Vec<Unit<'a>> {
        let parents: BTreeMap<&ScopeName, &Scope> =
            self.plan.scopes.iter().map(|scope| (&scope.name, scope)).collect();
        let mut units: Vec<Unit<'a>> = Vec::new();
        for task in &self.plan.tasks {
            if task.scope == *parent {
                units.push(Unit::Task(task));
                continue;
            }
            // The scope that stands directly in `parent` and holds this task.
            let mut scope = parents.get(&task.scope).copied();
            while let Some(inner) = scope {
                if inner.parent.as_ref() == Some(parent) {
                    break;
                }
                scope = inner.parent.as_ref().and_then(|name| parents.get(name).copied());
            }
            let Some(scope) = scope else { continue };
            let known =
                units.iter().rev().any(|unit| matches!(unit, Unit::Scope(known) if known.name == scope.name));
            if !known {
                units.push(Unit::Scope(scope));
            }
        }
        units
    }

    fn children(&self, parent: &ScopeName) -> impl Iterator<Item = &'a Scope> {
        self.plan.scopes.iter().filter(move |scope| scope.parent.as_ref() == Some(parent))
    }

    fn title(&self, scope: &'a Scope) -> &'a str {
        match &scope.kind {
            ScopeKind::Rollout { step, .. } => step.as_str(),
            ScopeKind::Finally => "finally",
            _ => scope.name.as_str(),
        }
    }

    /// `120 machines in 4 waves, at most 2 may fail`.
    fn size(&self, scope: &Scope) -> String {
        if let ScopeKind::Rollback { .. } = scope.kind {
            let restoring =
                self.plan.tasks.iter().find(|task| task.scope == scope.name && task.restores.is_some());
            let machines = restoring.and_then(|task| task.targets.as_ref()).map_or(0, Vec::len);
            return format!("restores {}", count(machines, "machine"));
        }
        let ScopeKind::Rollout { targets, max_failures, .. } = &scope.kind else { return String::new() };
        if targets.is_empty() {
            return String::new();
        }
        let waves = self.waves(scope).len();
        let budget = match max_failures {
            0 => "none may fail".to_owned(),
            n => format!("at most {n} may fail"),
        };
        format!("{} in {}, {budget}", count(targets.len(), "machine"), count(waves, "wave"))
    }

    fn waves(&self, rollout: &Scope) -> Vec<(&'a Scope, u32, &'a [TargetId])> {
        self.children(&rollout.name)
            .filter_map(|scope| match &scope.kind {
                ScopeKind::Wave { number, targets, .. } => Some((scope, *number, targets.as_slice())),
                _ => None,
            })
            .collect()
    }

    fn stage(&self, scope: &'a Scope, depth: usize) -> String {
        let indent = "  ".repeat(depth);
        let size = self.size(scope);
        let mut text = format!("{indent}{}", self.paint.bold(self.title(scope)));
        if !size.is_empty() {
            let _ = write!(text, "  {size}");
        }
        text.push('\n');
        let waves = self.waves(scope);
        let inside = waves.first().map_or(scope, |(wave, ..)| self.first_part(wave));
        text.push_str(&self.after(scope, &indent));
        if !waves.is_empty() {
            text.push_str(&columns(&self.wave_rows(scope, &waves), &format!("{indent}  ")));
            let each = match (waves.len(), inside.name == waves[0].0.name) {
                (1, true) => "the wave",
                (_, true) => "each wave",
                (_, false) => "each part of a wave",
            };
            let _ = writeln!(text, "{indent}  {}", self.paint.dim(&format!("{each}:")));
        }
        text.push_str(&self.steps(inside, depth + 2));
        text
    }

    /// What the stage waits for, and the window that is asked before its waves.
    fn after(&self, scope: &Scope, indent: &str) -> String {
        let mut text = String::new();
        let window =
            self.plan.tasks.iter().find(|task| task.role == Role::Window && self.is_inside(task, scope));
        if let Some(Task { work: Work::Gate(window), .. }) = window {
            let _ = writeln!(text, "{indent}  each wave only in the window {}", gate(window));
            let _ = writeln!(text, "{indent}  {}", self.times.of_windows(|task| self.is_inside(task, scope)));
        }
        text
    }

    fn is_inside(&self, task: &Task, scope: &Scope) -> bool {
        let mut name = Some(&task.scope);
        while let Some(at) = name {
            if *at == scope.name {
                return true;
            }
            name =
                self.plan.scopes.iter().find(|each| each.name == *at).and_then(|each| each.parent.as_ref());
        }
        false
    }

    /// What the author called the step of a task, or a scope.
    fn called(&self, name: &'a str) -> &'a str {
        let task = self.plan.tasks.iter().find(|task| task.name.as_str() == name);
        last(task.map_or(name, |task| task.step.as_str()))
    }

    fn first_part(&self, wave: &'a Scope) -> &'a Scope {
        self.children(&wave.name).find(|scope| matches!(scope.kind, ScopeKind::Part { .. })).unwrap_or(wave)
    }

    fn wave_rows(&self, rollout: &Scope, waves: &[(&'a Scope, u32, &'a [TargetId])]) -> Vec<Vec<String>> {
        waves
            .iter()
            .map(|(wave, number, targets)| {
                let parts = self
                    .children(&wave.name)
                    .filter(|scope| matches!(scope.kind, ScopeKind::Part { .. }))
                    .count();
                let mut size = count(targets.len(), "machine");
                if parts > 1 {
                    let _ = write!(size, " in {parts} parts");
                }
                let soak = self.children(&rollout.name).find_map(|scope| match scope.kind {
                    ScopeKind::Soak { wave } if wave == *number => self.soak(scope),
                    _ => None,
                });
                vec![
                    format!("wave {number}"),
                    size,
                    self.paint.dim(&span(&names(self.plan, targets), MOST_NAMES)),
                    self.times.of_wave(wave),
                    soak.map(|span| format!("then soaks {span}")).unwrap_or_default(),
                ]
            })
            .collect()
    }

    fn soak(&self, scope: &Scope) -> Option<String> {
        self.plan.tasks.iter().find_map(|task| match &task.work {
            Work::Gate(Gate::WaitFor { span }) if task.scope == scope.name => Some(span.to_string()),
            _ => None,
        })
    }

    /// The steps of one wave, then what happens when they fail.
    fn steps(&self, scope: &'a Scope, depth: usize) -> String {
        let indent = "  ".repeat(depth);
        let mut text = String::new();
        let mut rows = Vec::new();
        let mut ways = Vec::new();
        for unit in self.units(&scope.name) {
            match unit {
                Unit::Task(task) => match &task.role {
                    Role::Step | Role::Finally => {
                        rows.push(self.row(task));
                        if let Some(why) = &task.no_way_back {
                            ways.push(format!("{}: no way back, because {why}", last(task.step.as_str())));
                        }
                        if task.action.as_str() == "aws/patch" && task.effect != Effect::Reads {
                            let step = last(task.step.as_str());
                            ways.push(format!(
                                "{step}: one list of patches for the stage; what starts 60h after its first machine gets a new one"
                            ));
                        }
                    }
                    Role::Branch { of } => {
                        ways.push(self.branch(task, of));
                        ways.extend(self.ways(task));
                    }
                    _ => {}
                },
                Unit::Scope(inner) => {
                    if matches!(inner.kind, ScopeKind::Rollout { .. }) {
                        text.push_str(&columns(&rows, &indent));
                        rows.clear();
                        text.push_str(&self.stage(inner, depth));
                    }
                }
            }
        }
        text.push_str(&columns(&rows, &indent));
        for way in ways {
            let _ = writeln!(text, "{indent}{way}");
        }
        text
    }

    fn row(&self, task: &'a Task) -> Vec<String> {
        let effect = match task.effect {
            Effect::Reads => String::new(),
            Effect::Changes => self.paint.yellow("changes"),
            Effect::Unknown => self.paint.yellow("may change"),
        };
        let attempts =
            if task.retry.attempts > 1 { format!("{} attempts", task.retry.attempts) } else { String::new() };
        let then: Vec<&str> = task.on_failure.iter().map(|name| self.called(name.as_str())).collect();
        let then = if then.is_empty() { String::new() } else { format!("failed → {}", then.join(", ")) };
        let mut row = vec![
            last(task.step.as_str()).to_owned(),
            self.paint.dim(task.action.as_str()),
            effect,
            format!("{} at most", task.timeout),
            self.times.of_task(task),
            attempts,
            then,
        ];
        match task.patchset {
            Some(Part::Tests) => row.push("tests the patchset".to_owned()),
            Some(Part::Takes) => row.push("takes the patchset".to_owned()),
            None => {}
        }
        if let Some(skip) = &task.skip {
            row.push(format!("skipped: {skip}"));
        } else if let Some(when) = &task.when {
            row.push(format!("when {when}"));
        }
        row
    }

    fn branch(&self, task: &'a Task, of: &'a [String]) -> String {
        let of: Vec<&str> = of.iter().map(|name| self.called(name)).collect();
        let mut text = format!("{} ", if task.restores.is_some() { "way back:" } else { "on failure:" });
        let _ = write!(text, "{} ({}", last(task.step.as_str()), task.action);
        if let Some(backup) = &task.restores {
            let _ = write!(text, " from {}", last(backup.as_str()));
        }
        text.push(')');
        let length = self.times.of_task(task);
        if task.restores.is_some() && !length.is_empty() {
            let _ = write!(text, ", {length}");
        }
        let checks: Vec<&str> = self
            .plan
            .tasks
            .iter()
            .filter(|each| matches!(&each.role, Role::Verify { of } if *of == task.name))
            .map(|each| last(each.step.as_str()))
            .collect();
        if !checks.is_empty() {
            let _ = write!(text, ", then {} again", checks.join(", "));
        }
        let _ = write!(text, ", after a failure of {}", of.join(", "));
        let then: Vec<&str> = task.on_failure.iter().map(|name| self.called(name.as_str())).collect();
        if !then.is_empty() {
            let _ = write!(text, "; if that fails → {}", then.join(", "));
        }
        text
    }

    /// How the machines of a restoring step are brought back, over all waves of its stage: what it costs.
    fn ways(&self, task: &Task) -> Vec<String> {
        let each = self.plan.ways_of(&task.step).into_iter();
        each.map(|way| {
            let machines = count(way.targets.len(), "machine");
            let mut text = format!("  {machines} by {}, usually {}", way.strategy, way.usually);
            if !way.loses.is_empty() {
                let _ = write!(text, "; lost: {}", way.loses.join(", "));
            }
            text
        })
        .collect()
    }

    /// A task that stands alone: a gate, a step without targets.
    fn lone_task(&self, task: &Task) -> String {
        let mut text = format!("{}  {}\n", self.paint.bold(task.name.as_str()), self.what(task).trim_end());
        if let Role::Branch { of } = &task.role {
            let _ = writeln!(text, "  only after a failure of {}", of.join(", "));
        }
        for way in self.ways(task) {
            let _ = writeln!(text, "{way}");
        }
        if let Some(skip) = &task.skip {
            let _ = writeln!(text, "  skipped: {skip}");
        }
        if let Some(when) = &task.when {
            let _ = writeln!(text, "  when {when}");
        }
        text
    }

    fn what(&self, task: &Task) -> String {
        let action = self.paint.dim(task.action.as_str());
        match &task.work {
            Work::Gate(each @ Gate::Window(_)) => match self.times.of_window(task) {
                Some(room) => format!("{action}  {}; {room}", gate(each)),
                None => format!("{action}  {}", gate(each)),
            },
            Work::Gate(each) => format!("{action}  {}", gate(each)),
            Work::Action(_) => format!("{action}  {} at most  {}", task.timeout, self.times.of_task(task)),
        }
    }
}

/// The last part of a name: what the author called it.
fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn scalar(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
