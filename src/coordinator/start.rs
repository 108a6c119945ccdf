//! Begins a run, or goes on with one.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use runbook_engine::{
    expression::Secrets as _,
    ids::RunId,
    plan::{Inputs, Plan, Work},
    run::{Run, event::Event},
};
use runbook_state::store::RunRow;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Coordinator, exit::ExitReport, holds, live::Live, message::Fact, refused::Refused, replay,
    secrets::Secrets,
};

/// What begins a run.
#[derive(Clone, Debug)]
pub struct Start {
    /// The frozen plan.
    pub plan: Arc<Plan>,
    /// `--expect-plan`: its digest, or the beginning of it (8 characters at least).
    pub expect_plan: Option<String>,
    /// `--at`: nothing starts before.
    pub not_before: Option<Timestamp>,
    /// `--no-wait`: the process does not wait when only waits are left.
    pub no_wait: bool,
}

/// The fewest characters of a digest that `--expect-plan` takes.
const SHORTEST_DIGEST: usize = 8;

impl Coordinator<'_> {
    /// Begins a run: it is in the store with the next batch, which [`Coordinator::drive`] writes.
    ///
    /// # Errors
    /// The plan is refused; nothing was journaled.
    pub fn start(&mut self, start: Start, by: &str) -> Result<RunId, Refused> {
        let id = self.new_id()?;
        self.start_as(id, start, by)
    }

    /// The same under this id: a rehearsal is the same every time.
    ///
    /// # Errors
    /// The plan is refused; nothing was journaled.
    pub(crate) fn start_as(&mut self, id: RunId, start: Start, by: &str) -> Result<RunId, Refused> {
        let plan = start.plan;
        let digest = plan.digest();
        if let Some(wanted) = start.expect_plan {
            let matches = wanted.len() >= SHORTEST_DIGEST && digest.starts_with(&wanted.to_ascii_lowercase());
            if !matches {
                return Err(Refused::OtherPlan { wanted, found: digest });
            }
        }
        self.check(&plan)?;
        let mut run = Run::new(Arc::clone(&plan))
            .map_err(|damaged| Refused::DamagedPlan { why: damaged.to_string() })?;
        run.set_capacity(self.capacity);
        let now = self.clock.now();
        let row = RunRow {
            run: id.clone(),
            runbook: plan.runbook.clone(),
            status: run.status().as_str().to_owned(),
            exit: None,
            started_at: now,
            finished_at: None,
            plan: digest.clone(),
            holds: holds::changed_by(&plan),
            linked_to: plan.link.as_ref().map(|link| link.run.clone()),
            world: self.world.clone(),
        };
        let started = Event::RunStarted {
            run: id.clone(),
            plan: digest,
            by: by.to_owned(),
            link: plan.link.clone(),
            not_before: start.not_before,
        };
        let mut live = Live::new(run, plan, row, false, now, 0);
        live.no_wait = start.no_wait;
        live.facts.push(Fact::of(started));
        self.order.push(id.clone());
        self.runs.insert(id.clone(), live);
        Ok(id)
    }

    /// Goes on with a run: what was running is interrupted until it is looked up. A finished one has its report.
    ///
    /// # Errors
    /// The journal or the plan is damaged, or a secret is missing.
    pub fn resume(&mut self, row: &RunRow, by: &str, no_wait: bool) -> Result<Option<ExitReport>, Refused> {
        let replay::Replayed { mut run, plan, last_at, seq, kept } = replay::load(self.store.as_ref(), row)?;
        if run.finished() {
            return Ok(Some(ExitReport::of(&run, &row.run)));
        }
        secrets_of(&plan, &self.around.secrets)?;
        run.set_capacity(self.capacity);
        self.around.outside.not_before(last_at);
        let mut live = Live::new(run, plan, row.clone(), true, last_at, seq);
        // Whoever goes on with it accepts the clocks as they are.
        live.accepted_ahead = self.clock.ahead();
        live.no_wait = no_wait;
        live.kept = kept;
        live.facts.push(Fact::of(Event::RunResumed { by: by.to_owned() }));
        if live.run().paused() {
            live.facts.push(Fact::of(Event::RunUnpaused { by: by.to_owned() }));
        }
        self.order.push(row.run.clone());
        self.runs.insert(row.run.clone(), live);
        Ok(None)
    }

    /// Everything that can be refused before anything is journaled.
    fn check(&self, plan: &Plan) -> Result<(), Refused> {
        for task in plan.tasks.iter().chain(&plan.rollback) {
            if let Work::Action(_) = task.work
                && self.actions.get(task.action.as_str()).is_none()
            {
                return Err(Refused::NoAction { action: task.action.to_string(), task: task.name.clone() });
            }
        }
        self.check_aws(plan)?;
        secrets_of(plan, &self.around.secrets)?;
        // Runs that begin in this process are in the store with their first batch only.
        for live in self.runs.values().filter(|live| !live.created) {
            let wanted: BTreeSet<_> = holds::changed_by(plan).into_iter().collect();
            if let Some(target) = live.row.holds.iter().find(|target| wanted.contains(*target)) {
                return Err(Refused::Held { target: target.clone(), run: live.id().clone(), stuck: false });
            }
        }
        holds::check(self.store.as_ref(), plan)
    }

    /// What a binary without AWS cannot do is said before anything is changed.
    fn check_aws(&self, plan: &Plan) -> Result<(), Refused> {
        if self.around.outside.ports().aws.is_some() {
            return Ok(());
        }
        for task in plan.tasks.iter().chain(&plan.rollback) {
            if task.action.as_str().starts_with("aws/") && task.targets.is_some() {
                let action = task.action.as_str().to_owned();
                return Err(Refused::NotOnRealAws { action, task: task.name.clone() });
            }
        }
        Ok(())
    }

    /// Eight characters of 32: with a million runs in a store the next one meets another in one of a million cases,
    /// and then takes the next id.
    fn new_id(&self) -> Result<RunId, Refused> {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let taken: BTreeSet<_> = self.store.runs()?.into_iter().map(|row| row.run).collect();
        loop {
            let random = Uuid::new_v4();
            // Bytes 6 and 8 hold the version.
            let bytes = random.as_bytes();
            let text: String = bytes[..4]
                .iter()
                .chain(&bytes[10..14])
                .map(|byte| char::from(ALPHABET[*byte as usize & 31]))
                .collect();
            let id = RunId::from(text);
            if !taken.contains(&id) && !self.runs.contains_key(&id) {
                return Ok(id);
            }
        }
    }
}

/// Every secret that a plan names must be there.
fn secrets_of(plan: &Plan, secrets: &Secrets) -> Result<(), Refused> {
    let works = plan.tasks.iter().chain(&plan.rollback).filter_map(|task| match &task.work {
        Work::Action(inputs) => Some(inputs),
        Work::Gate(_) => None,
    });
    let rules = plan.notify.iter().map(|rule| &rule.inputs);
    let mut named = BTreeSet::new();
    for inputs in works.chain(rules).filter(|inputs| !inputs.late.is_empty()) {
        secrets_in(inputs, &mut named);
    }
    match named.into_iter().find(|name| secrets.secret(name).is_none()) {
        Some(name) => Err(Refused::MissingSecret { name }),
        None => Ok(()),
    }
}

fn secrets_in(inputs: &Inputs, named: &mut BTreeSet<String>) {
    for values in std::iter::once(&inputs.shared).chain(inputs.per_target.values()) {
        for key in &inputs.late {
            if let Some(value) = values.get(key) {
                secrets_in_value(value, named);
            }
        }
    }
}

fn secrets_in_value(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => named.extend(secrets_in_text(text)),
        Value::Array(items) => items.iter().for_each(|item| secrets_in_value(item, named)),
        Value::Object(entries) => entries.values().for_each(|item| secrets_in_value(item, named)),
        _ => {}
    }
}

/// The names in `secret('NAME')`, as far as they are written out.
fn secrets_in_text(text: &str) -> Vec<String> {
    let calls = text.split("secret(").skip(1);
    calls
        .filter_map(|rest| {
            let rest = rest.trim_start();
            let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            Some(rest[1..].split(quote).next()?.to_owned())
        })
        .collect()
}
