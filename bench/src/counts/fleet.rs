//! What is counted with: runbooks, machines, facts.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use jiff::Timestamp;
use runbook_engine::{
    catalog::{ActionDoc, Catalog, EffectDoc, TargetsDoc, TimeoutDoc, gates},
    connection::Connection,
    duration::Span,
    ids::{GroupName, RunId, StepPath, TargetId, TaskName},
    outcome::Effect,
    plan::Plan,
    run::{
        Run,
        command::Command,
        event::{Event, Report},
    },
    target::{Home, Target},
};

/// The actions.
pub struct Words(Vec<ActionDoc>);

impl Default for Words {
    fn default() -> Self {
        let reads = ActionDoc {
            effect: EffectDoc::Always(Effect::Reads),
            targets: TargetsDoc::Optional,
            ..ActionDoc::new("count/read", "Looks.", TimeoutDoc::Fixed(Span::from_hours(1)))
        };
        let mut all = gates();
        all.push(reads);
        all.sort_by_key(|doc| doc.name);
        Self(all)
    }
}

impl Catalog for Words {
    fn action(&self, name: &str) -> Option<&ActionDoc> {
        self.0.iter().find(|doc| doc.name == name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|doc| doc.name).collect()
    }
}

/// A runbook of so many steps, one after the other.
pub fn chain(steps: usize) -> String {
    let mut text = String::from("runbook: chain\nsteps:\n  s1: { uses: count/read }\n");
    for number in 2..=steps {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  s{number}: {{ needs: [s{}], uses: count/read }}", number - 1);
    }
    text
}

/// A runbook with one wave of machines.
pub fn wave() -> String {
    "runbook: wave\ntargets: { all: { aws: { tags: { Stage: all } } } }\nsteps:\n  look: { uses: count/read, targets: all }\n"
        .into()
}

/// So many machines in its group. They are not in AWS: nobody need look at them before their wave.
pub fn machines(count: usize) -> BTreeMap<GroupName, Vec<Target>> {
    let machine = |number| {
        let name = machine_name(number);
        Target {
            id: TargetId::new(&name),
            name,
            group: GroupName::new("all"),
            private_ip: None,
            tags: BTreeMap::new(),
            vars: BTreeMap::new(),
            environment: None,
            owner: None,
            platform: "linux".into(),
            image: None,
            root_volume: None,
            ec2: None,
            home: Home::Host { address: "127.0.0.1".into(), connection: Connection::default() },
        }
    };
    BTreeMap::from([(GroupName::new("all"), (1..=count).map(machine).collect())])
}

fn machine_name(number: usize) -> String {
    format!("m-{number:05}")
}

/// A plan of one step after the other, with more of them: planning them would take the most of the time.
pub fn longer(plan: &Plan, steps: usize) -> Plan {
    let mut longer = plan.clone();
    for number in longer.tasks.len() + 1..=steps {
        let mut task = plan.tasks[1].clone();
        task.name = TaskName::new(format!("s{number}"));
        task.step = StepPath::new(format!("s{number}"));
        task.needs = vec![format!("s{}", number - 1)];
        longer.tasks.push(task);
    }
    longer
}

/// The same steps, of which none waits for another.
pub fn side_by_side(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.tasks.iter_mut().for_each(|task| task.needs.clear());
    plan
}

/// The time of everything.
pub fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// The run's id.
pub fn id() -> RunId {
    RunId::new("7k2m")
}

/// The first entry.
pub fn started() -> Event {
    Event::RunStarted { run: id(), plan: String::new(), by: "counts".into(), link: None, not_before: None }
}

/// The end of a task.
pub fn task_ended(number: usize) -> Event {
    Event::TaskReported { task: TaskName::new(format!("s{number}")), attempt: 1, report: Report::succeeded() }
}

/// The end of a machine in the wave.
pub fn machine_ended(number: usize) -> Event {
    Event::TargetsReported {
        task: TaskName::new("look/wave-1"),
        attempt: 1,
        targets: vec![TargetId::new(machine_name(number))],
        report: Report::succeeded(),
    }
}

/// A run of this plan, as far as it goes without an answer.
pub fn begun(plan: Arc<Plan>) -> Result<Run, String> {
    let mut run = Run::new(plan).map_err(|damaged| damaged.to_string())?;
    run.apply(now(), &started()).map_err(|illegal| illegal.to_string())?;
    decide(&mut run, &mut Vec::new())?;
    Ok(run)
}

/// Applies what the core decides, until that is nothing more.
pub fn decide(run: &mut Run, events: &mut Vec<Event>) -> Result<(), String> {
    loop {
        let mut decided = false;
        for command in run.commands(now()) {
            if let Command::Record(event) = command {
                run.apply(now(), &event).map_err(|illegal| illegal.to_string())?;
                events.push(event);
                decided = true;
            }
        }
        if !decided {
            return Ok(());
        }
    }
}

/// The batches of the first steps of a chain.
pub fn batches(plan: &Arc<Plan>, steps: usize) -> Result<Vec<Vec<Event>>, String> {
    let mut run = Run::new(Arc::clone(plan)).map_err(|damaged| damaged.to_string())?;
    run.apply(now(), &started()).map_err(|illegal| illegal.to_string())?;
    let mut first = Vec::new();
    decide(&mut run, &mut first)?;
    let mut batches = vec![first];
    for number in 1..steps {
        batches.push(super::told(&mut run, &task_ended(number))?);
    }
    Ok(batches)
}
