//! One attempt of a task, in as many lives as it takes.

use std::{cell::Cell, collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::{
    connection::Connection,
    ids::{GroupName, RunId, TargetId, TaskName},
    outcome::Effect,
    target::{Home, Target},
};
use runbook_steps::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, Settings, StopReason},
    ports::Ports,
};
use serde_json::Value;
use tokio::{sync::watch, task::yield_now};

use super::journal::{Hand, Journal};

/// How one life of the attempt ended.
#[derive(Debug)]
pub enum Life {
    /// The process died.
    Crashed,
    /// The action came back.
    Ended(Result<Value, Failure>),
}

/// An attempt, its world, and what it journaled.
pub struct Attempt {
    /// The world.
    pub ports: Ports,
    /// Its limits.
    pub settings: Settings,
    /// How long it may take.
    pub timeout: Duration,
    /// What its step does to machines.
    pub effect: Effect,
    /// The how manieth of its task it is.
    pub number: u32,
    /// Its journal.
    pub journal: Arc<Journal>,
    /// Its handle to stop it.
    pub stop: watch::Sender<StopReason>,
    machines: Vec<(Arc<Target>, Arc<Inputs>)>,
    inputs: Arc<Inputs>,
    began: Timestamp,
    lives: Cell<usize>,
}

impl Attempt {
    /// An attempt without machines, with these inputs (a JSON object).
    pub fn new(ports: Ports, inputs: Value) -> Self {
        Self {
            began: ports.clock.now(),
            ports,
            settings: Settings { settle: Duration::from_secs(1), ..Settings::default() },
            timeout: Duration::from_secs(3600),
            effect: Effect::Unknown,
            number: 1,
            journal: Arc::default(),
            stop: watch::Sender::new(StopReason::None),
            machines: Vec::new(),
            inputs: Arc::new(inputs_of(inputs)),
            lives: Cell::new(0),
        }
    }

    /// The same for these machines, which share its inputs.
    pub fn on(mut self, machines: impl IntoIterator<Item = Target>) -> Self {
        let inputs = Arc::clone(&self.inputs);
        self.machines =
            machines.into_iter().map(|machine| (Arc::new(machine), Arc::clone(&inputs))).collect();
        self
    }

    /// The same for one more machine with inputs of its own.
    pub fn and(mut self, machine: Target, inputs: Inputs) -> Self {
        self.machines.push((Arc::new(machine), Arc::new(inputs)));
        self
    }

    /// The same with another input for all its machines, as where an expression gives another value after a resume.
    pub fn given(self, key: &str, value: &Value) -> Self {
        self.given_where(|_| true, key, value)
    }

    /// The same with another input for one of its machines.
    pub fn given_one(self, id: &str, key: &str, value: &Value) -> Self {
        self.given_where(|machine| machine.id.as_str() == id, key, value)
    }

    fn given_where(mut self, which: impl Fn(&Target) -> bool, key: &str, value: &Value) -> Self {
        for (machine, inputs) in &mut self.machines {
            if which(machine) {
                *inputs = Arc::new(inputs.with(key, value.clone()));
            }
        }
        self
    }

    /// The inputs of one of its machines.
    pub fn inputs_of(&self, id: &TargetId) -> &Inputs {
        let found = self.machines.iter().find(|(machine, _)| machine.id == *id);
        &found.expect("one of its machines").1
    }

    /// Whether its task has no machines.
    pub fn has_no_machines(&self) -> bool {
        self.machines.is_empty()
    }

    /// One life, which dies after so many points of the journal; every life but the first one is a resumed one.
    pub async fn live(&self, action: &dyn Action, fuse: Option<usize>) -> Life {
        let memory = self.journal.recorded().memory.clone();
        let open: Vec<_> = {
            let recorded = self.journal.recorded();
            let open = |id: &TargetId| !recorded.reports.contains_key(id);
            self.machines.iter().filter(|(machine, _)| open(&machine.id)).cloned().collect()
        };
        let resumed = self.lives.replace(self.lives.get() + 1) > 0;
        if resumed && open.is_empty() && !self.machines.is_empty() {
            return Life::Ended(Ok(Value::Null));
        }
        let hand = Arc::new(Hand::new(Arc::clone(&self.journal), Arc::clone(&self.ports.clock), fuse));
        let ctx = Context {
            run: RunId::from("7k2m"),
            task: TaskName::from("production/wave-1/step"),
            attempt: self.number,
            resumed,
            stage: "production".into(),
            effect: self.effect,
            stage_began: self.began,
            store: "store".into(),
            deadline: self.ports.clock.now().checked_add(self.timeout).expect("a deadline"),
            ports: self.ports.clone(),
            settings: Arc::new(self.settings.clone()),
            memory: Arc::new(memory),
            ledger: Arc::clone(&hand) as _,
            stop: self.stop.subscribe(),
        };
        let work = Work { targets: open, inputs: Arc::clone(&self.inputs) };
        let life = tokio::select! {
            biased;
            () = hand.death() => Life::Crashed,
            result = action.execute(&ctx, work) => Life::Ended(result),
        };
        // What the action spawned dies with it, as soon as the scheduler comes round.
        for _ in 0..10 {
            yield_now().await;
        }
        // So would a blocking call. Where the runtime has one thread for those, the last one is over after this.
        tokio::task::spawn_blocking(|| ()).await.expect("no panic");
        if let Life::Ended(Ok(_)) = life
            && !self.machines.is_empty()
        {
            let all = self.machines.len();
            assert_eq!(self.journal.recorded().reports.len(), all, "every machine must be reported");
        }
        life
    }

    /// One life to the end.
    pub async fn live_to_the_end(&self, action: &dyn Action) -> Result<Value, Failure> {
        match self.live(action, None).await {
            Life::Ended(result) => result,
            Life::Crashed => unreachable!("there is no fuse"),
        }
    }

    /// How each machine came out, and why: `succeeded`, `failed: …`.
    pub fn reports(&self) -> BTreeMap<String, String> {
        let recorded = self.journal.recorded();
        let words = recorded.reports.iter().map(|(id, report)| {
            let why = report.cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
            (id.to_string(), format!("{}{why}", report.outcome))
        });
        words.collect()
    }
}

/// Inputs, from a JSON object.
pub fn inputs_of(values: Value) -> Inputs {
    let Value::Object(values) = values else { panic!("inputs are an object") };
    Inputs { values: values.into_iter().collect(), backup: None, patchset: None }
}

/// A host of this name.
pub fn host(name: &str) -> Target {
    Target {
        id: TargetId::from(name),
        name: name.to_owned(),
        group: GroupName::from("hosts"),
        private_ip: Some("127.0.0.1".to_owned()),
        tags: BTreeMap::new(),
        vars: BTreeMap::new(),
        environment: None,
        owner: None,
        platform: "linux".to_owned(),
        image: None,
        root_volume: None,
        ec2: None,
        home: Home::Host { address: "127.0.0.1".to_owned(), connection: Connection::default() },
    }
}
