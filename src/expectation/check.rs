//! What must hold in each world of a case, and what came instead.

use runbook_engine::{
    diagnostic::Place,
    document::expectation::{Bounds, MachineWord},
    duration::Span,
    ids::TargetId,
    plan::Plan,
};
use runbook_steps::world::Call;

use super::{
    facts::Facts,
    named::{Machines, Tasks},
};
use crate::view::words::{self, length};

/// How many machines are told one by one.
const MOST: usize = 3;

/// Something that must hold, every name in it known.
#[derive(Clone, Debug)]
pub struct Check {
    /// Where it is written.
    pub place: Place,
    pub(super) demand: Demand,
}

/// What was expected, and what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Where the expectation is written.
    pub place: Place,
    /// It.
    pub expected: String,
    /// What was seen instead.
    pub came: String,
}

#[derive(Clone, Debug)]
pub(super) enum Demand {
    Ends(Vec<&'static str>),
    NeverEnds(Vec<&'static str>),
    Exit(u32),
    Each { on: Machines, words: Vec<MachineWord> },
    NoneIs { on: Machines, words: Vec<MachineWord> },
    Count { on: Machines, word: MachineWord, bounds: Bounds },
    Order { first: Tasks, then: Tasks, on: Option<Machines> },
    Calls { which: Calls, bounds: Bounds },
    NoCall(Calls),
    NoTask { tasks: Tasks, on: Option<Machines> },
    NoTouch(Machines),
    FinishesWithin(Span),
    WindowLeft(Span),
    Says(String),
    NeverSays(String),
}

/// Which calls.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub call: String,
    pub operation: Option<String>,
    pub task: Option<Tasks>,
    pub on: Option<Machines>,
}

impl Calls {
    fn are(&self, call: &Call) -> bool {
        call.call == self.call
            && self.operation.as_deref().is_none_or(|operation| call.does() == Some(operation))
            && self
                .task
                .as_ref()
                .is_none_or(|tasks| call.task.as_deref().is_some_and(|task| tasks.names.contains(task)))
    }

    fn words(&self) -> String {
        let mut words = self.call.clone();
        if let Some(operation) = &self.operation {
            words.push_str(&format!(" {operation}"));
        }
        if let Some(task) = &self.task {
            words.push_str(&format!(" of {}", task.text));
        }
        words
    }
}

impl Check {
    /// What was expected and what came, unless it holds.
    pub fn unmet(&self, plan: &Plan, facts: &Facts<'_>) -> Option<Unmet> {
        let came = self.demand.contradicted(plan, facts)?;
        Some(Unmet { place: self.place, expected: self.demand.words(), came })
    }
}

impl Demand {
    fn words(&self) -> String {
        match self {
            Self::Ends(words) => format!("outcome {}", either(words)),
            Self::NeverEnds(words) => format!("outcome never {}", either(words)),
            Self::Exit(code) => format!("exit {code}"),
            Self::Each { on, words } => format!("{} {}", on.text, either(&strings(words))),
            Self::NoneIs { on, words } => format!("{} never {}", on.text, either(&strings(words))),
            Self::Count { on, word, bounds } => {
                format!("{} of {} {}", bounds.words(), on.text, word.as_str())
            }
            Self::Order { first, then, on } => {
                let on = on.as_ref().map(|on| format!(" on each of {}", on.text)).unwrap_or_default();
                format!("{} after {}{on}", then.text, first.text)
            }
            Self::Calls { which, bounds } => {
                let on = which.on.as_ref().map(|on| format!(" on each of {}", on.text)).unwrap_or_default();
                format!("{} {}{on}", bounds.words(), which.words())
            }
            Self::NoCall(which) => {
                let on = which.on.as_ref().map(|on| format!(" on {}", on.text)).unwrap_or_default();
                format!("never {}{on}", which.words())
            }
            Self::NoTask { tasks, on } => {
                let on = on.as_ref().map(|on| format!(" on {}", on.text)).unwrap_or_default();
                format!("{} never begins{on}", tasks.text)
            }
            Self::NoTouch(on) => format!("{} never touched", on.text),
            Self::FinishesWithin(span) => format!("finished within {span}"),
            Self::WindowLeft(span) => format!("{span} of the window left"),
            Self::Says(text) => format!("a message that holds \"{text}\""),
            Self::NeverSays(text) => format!("no message that holds \"{text}\""),
        }
    }

    /// What came instead, unless it holds.
    fn contradicted(&self, plan: &Plan, facts: &Facts<'_>) -> Option<String> {
        let ended = &facts.world.ended;
        match self {
            Self::Ends(words) => (!words.contains(&ended.status.as_str())).then(|| ending(facts)),
            Self::NeverEnds(words) => words.contains(&ended.status.as_str()).then(|| ending(facts)),
            Self::Exit(code) => (u32::from(ended.code) != *code).then(|| format!("exit {}", ended.code)),
            Self::Each { on, words } => {
                let fits = |id: &TargetId| words.iter().any(|word| facts.is(id, *word));
                told(plan, on.ids.iter().filter(|id| !fits(id)), |id| facts.came_out(id))
            }
            Self::NoneIs { on, words } => {
                let is = |id: &TargetId| words.iter().any(|word| facts.is(id, *word));
                told(plan, on.ids.iter().filter(|id| is(id)), |id| facts.came_out(id))
            }
            Self::Count { on, word, bounds } => {
                let many = on.ids.iter().filter(|id| facts.is(id, *word)).count();
                let total = on.ids.len();
                (!bounds.hold(many, total)).then(|| format!("{many} of {total} {}", word.as_str()))
            }
            Self::Order { first, then, on } => match on {
                None => disorder(facts, first, then, None),
                Some(on) => {
                    let wrong = on.ids.iter().filter(|id| disorder(facts, first, then, Some(id)).is_some());
                    told(plan, wrong, |id| disorder(facts, first, then, Some(id)).unwrap_or_default())
                }
            },
            Self::Calls { which, bounds } => match &which.on {
                None => {
                    let many = facts.effects().filter(|call| which.are(call)).count();
                    (!bounds.hold(many, many)).then(|| many.to_string())
                }
                Some(on) => {
                    let many = |id: &TargetId| {
                        facts.effects().filter(|call| which.are(call) && call.machines.contains(id)).count()
                    };
                    let wrong = on.ids.iter().filter(|id| !bounds.hold(many(id), 0));
                    told(plan, wrong, |id| many(id).to_string())
                }
            },
            Self::NoCall(which) => {
                let concerns = |call: &&Call| {
                    let on = which.on.as_ref();
                    which.are(call)
                        && on.is_none_or(|on| call.machines.iter().any(|machine| on.ids.contains(machine)))
                };
                let call = facts.effects().find(concerns)?;
                let task = call.task.as_deref().map(|task| format!(" in {task}")).unwrap_or_default();
                Some(format!("it took effect at {}{task}", words::moment(call.at)))
            }
            Self::NoTask { tasks, on } => facts
                .begun(&tasks.names, on.as_ref().map(|on| on.ids.as_slice()))
                .map(|task| format!("{task} began")),
            Self::NoTouch(on) => {
                let touched = |id: &&TargetId| !facts.is(id, MachineWord::Untouched);
                told(plan, on.ids.iter().filter(touched), |id| facts.came_out(id))
            }
            Self::FinishesWithin(span) => {
                let took = u64::try_from(facts.world.makespan.as_secs()).unwrap_or(0);
                (took > span.as_secs()).then(|| length(took))
            }
            Self::WindowLeft(span) => match facts.world.margin.map(|margin| margin.left_s()) {
                None => Some("nothing was let through a window".to_owned()),
                Some(left) if left < i64::try_from(span.as_secs()).unwrap_or(i64::MAX) => {
                    Some(match u64::try_from(left) {
                        Ok(left) => format!("{} left", length(left)),
                        Err(_) => format!("done {} after it had closed", length(left.unsigned_abs())),
                    })
                }
                Some(_) => None,
            },
            Self::Says(text) => {
                (!facts.messages().any(|message| message.contains(text.as_str()))).then(|| said(facts))
            }
            Self::NeverSays(text) => facts
                .messages()
                .find(|message| message.contains(text.as_str()))
                .map(|said| format!("\"{said}\"")),
        }
    }
}

fn strings(words: &[MachineWord]) -> Vec<&'static str> {
    words.iter().map(|word| word.as_str()).collect()
}

fn either(words: &[&str]) -> String {
    words.join(" or ")
}

fn ending(facts: &Facts<'_>) -> String {
    let ended = &facts.world.ended;
    match &ended.cause {
        Some(cause) => format!("{}: {cause}", ended.status),
        None => ended.status.clone(),
    }
}

fn said(facts: &Facts<'_>) -> String {
    let all: Vec<String> = facts.messages().map(|message| format!("\"{message}\"")).collect();
    if all.is_empty() { "no message at all".to_owned() } else { words::some(&all, MOST) }
}

/// Some machines with what is said of each; none: nothing.
fn told<'a>(
    plan: &Plan,
    machines: impl Iterator<Item = &'a TargetId>,
    what: impl Fn(&TargetId) -> String,
) -> Option<String> {
    let mut told = Vec::new();
    let mut more = 0;
    for id in machines {
        if told.len() == MOST {
            more += 1;
            continue;
        }
        let name = plan.targets.get(id).map_or(id.as_str(), |target| target.name.as_str());
        told.push(format!("{name}: {}", what(id)));
    }
    if told.is_empty() {
        return None;
    }
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Some(format!("{}{more}", told.join("; ")))
}

/// Why `then` did not begin after `first` was over.
fn disorder(facts: &Facts<'_>, first: &Tasks, then: &Tasks, on: Option<&TargetId>) -> Option<String> {
    let not_begun = |tasks: &Tasks| Some(format!("{} did not begin", tasks.text));
    let Some(before) = facts.course(&first.names, on) else { return not_begun(first) };
    let Some(after) = facts.course(&then.names, on) else { return not_begun(then) };
    match before.last_over {
        None => Some(format!("{} was not over at the end", first.text)),
        Some(over) if over < after.first_begun => None,
        Some(_) => Some(format!("{} began before {} was over", then.text, first.text)),
    }
}
