//! One run, as the environment describes it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use runbook::coordinator::{
    Coordinator, Interrupts, Parts, Start, observer::Silent, outside::Outside, secrets::Secrets,
};
use runbook_state::{SledStore, store::RunStore};
use runbook_steps::{
    catalog::Actions,
    context::Settings,
    world::{World, WorldOptions},
};
use serde_json::{Value, json};

use crate::{
    append::Append,
    shares, staged,
    watched::{Watched, Written},
};

/// A fleet without machines: the steps of a bench touch none.
const NOBODY: &str = "fleet: nobody\ngroups: [{ name: nobody, count: 1 }]\n";

/// One run to make, or to go on with.
pub struct Case {
    stages: Vec<usize>,
    gates: bool,
    state: PathBuf,
    effects: PathBuf,
    kill: Option<u64>,
    resume: bool,
    notes: u64,
    figures: Option<PathBuf>,
    shares: bool,
}

impl Case {
    /// As the environment describes it.
    pub fn from_environment(stages: &str) -> Result<Self, String> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| var(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set"));
        let resume = var("BENCH_RESUME").is_some_and(|value| value == "1");
        let kill = match var("BENCH_KILL") {
            Some(number) if !resume => {
                Some(number.parse().map_err(|_| "BENCH_KILL is no number".to_owned())?)
            }
            _ => None,
        };
        let notes = match var("BENCH_NOTES") {
            Some(number) => number.parse().map_err(|_| "BENCH_NOTES is no number".to_owned())?,
            None => 0,
        };
        Ok(Self {
            stages: serde_json::from_str(stages).map_err(|error| format!("BENCH_STAGES: {error}"))?,
            gates: var("BENCH_GATES").is_some_and(|value| value == "1"),
            state: path("BENCH_STATE")?,
            effects: path("BENCH_EFFECTS")?,
            kill,
            resume,
            notes,
            figures: var("BENCH_FIGURES").map(PathBuf::from),
            shares: var("BENCH_SHARES").is_some_and(|value| value == "1"),
        })
    }

    /// Runs it to its end.
    pub fn run(&self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("the runtime cannot start: {error}"))?;
        runtime.block_on(self.drive())
    }

    /// The store, watched if it is to be said where the time goes.
    fn watched(&self, store: Box<dyn RunStore>) -> (Box<dyn RunStore>, Option<Arc<Mutex<Written>>>) {
        if !self.shares {
            return (store, None);
        }
        let (store, written) = Watched::new(store);
        (Box::new(store), Some(written))
    }

    async fn drive(&self) -> Result<(), String> {
        let append = Append::new(&self.effects, self.kill, self.notes)
            .map_err(|error| format!("the file of effects: {error}"))?;
        let actions = Actions::standard().with(append);
        let world = World::open(NOBODY, None, WorldOptions { speed: Some(1), ..WorldOptions::default() })
            .map_err(|error| error.to_string())?;
        let opened = Instant::now();
        let store = SledStore::open(&self.state).map_err(|error| error.to_string())?;
        let row = store.runs().map_err(|error| error.to_string())?.into_iter().next();
        let (store, written) = self.watched(Box::new(store));
        let planned = Instant::now();
        let plan = if self.resume { None } else { Some(staged::plan(&self.stages, self.gates, &actions)?) };
        let planning = planned.elapsed();
        let plan_of_shares = plan.clone().filter(|_| self.shares).map(Arc::new);
        let parts = Parts {
            store,
            outside: Outside::Simulated(world),
            actions,
            settings: Settings::default(),
            secrets: Secrets::default(),
            interrupts: Interrupts::never(),
            capacity: runbook_engine::run::DEFAULT_CAPACITY,
            state: self.state.clone(),
            environment: "bench".into(),
            world: None,
            owner: rustix::process::getuid().as_raw(),
        };
        let mut observer = Silent;
        let mut coordinator = Coordinator::new(parts, &mut observer);
        println!("START");
        let began = Instant::now();
        match (plan, row) {
            (Some(plan), _) => {
                let start = Start { plan: plan.into(), expect_plan: None, not_before: None, no_wait: false };
                coordinator.start(start, "bench").map_err(|error| error.to_string())?;
            }
            (None, Some(row)) => {
                coordinator.resume(&row, "bench", false).map_err(|error| error.to_string())?;
            }
            (None, None) => return Err("there is no run to resume".into()),
        }
        let stands = opened.elapsed();
        let reports = coordinator.drive().await.map_err(|error| error.to_string())?;
        let took = began.elapsed();
        println!("END");
        if let Some(file) = &self.figures {
            let (batches, peak_kib) = (coordinator.batches(), peak_kib());
            let mut entries = 0_u64;
            let store = coordinator.into_store();
            for report in &reports {
                store.each(&report.run, 1, &mut |_| entries += 1).map_err(|error| error.to_string())?;
            }
            let figures = json!({
                "steps": self.stages.iter().sum::<usize>(),
                "seconds": took.as_secs_f64(),
                "opening_seconds": planned.duration_since(opened).as_secs_f64(),
                "planning_seconds": planning.as_secs_f64(),
                "stands_seconds": stands.as_secs_f64(),
                "entries": entries,
                "batches": batches,
                "peak_kib": peak_kib,
                "state_bytes": bytes_below(&self.state),
                "shares": match (written, plan_of_shares) {
                    (Some(written), Some(plan)) => {
                        let written = written.lock().unwrap_or_else(PoisonError::into_inner);
                        shares::of(&written, &plan, took, &self.state)?
                    }
                    _ => Value::Null,
                },
            });
            fs::write(file, figures.to_string()).map_err(|error| format!("the file of figures: {error}"))?;
        }
        match reports.first().map(|report| report.code) {
            Some(0) => Ok(()),
            code => Err(format!("the run ended with exit code {code:?}")),
        }
    }
}

/// The most memory that this process had resident, as the kernel says.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Bytes of all files below a folder.
pub fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => bytes_below(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}
