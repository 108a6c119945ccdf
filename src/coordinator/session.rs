//! What the command line calls to begin a run or to go on with one: it holds the store, or hands the plan to the
//! process that does and follows the run there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use runbook_engine::ids::RunId;
use runbook_state::{
    SledStore,
    store::{RunRow, RunStore},
};
use runbook_steps::{catalog::Actions, context::Settings};

use super::{
    Coordinator, Outside, Parts, Start, exit::ExitReport, interrupts, message::Message, observer::Observer,
    refused::Refused, replay, secrets::Secrets,
};
use crate::{
    control::{
        asked::Ask,
        client::{self, Holder, Reached},
        peer::Person,
        server::Server,
    },
    world::{self, Choice},
};

/// How long those who follow a run have to read its last entries before the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// What every command knows.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The state folder.
    pub state: PathBuf,
    /// The process's environment: `RUNBOOK_SECRET_*`, `RUNBOOK_SECRETS_DIR`, `AWS_*`, `XDG_RUNTIME_DIR` are read.
    pub vars: BTreeMap<String, String>,
    /// Limits and times.
    pub settings: Settings,
    /// How many executions at a time in one run.
    pub capacity: usize,
    /// Somebody watches: a simulated world may go slowly.
    pub watched: bool,
}

impl Setup {
    /// The usual setup.
    pub fn new(state: impl Into<PathBuf>, vars: BTreeMap<String, String>) -> Self {
        Self {
            state: state.into(),
            vars,
            settings: Settings::default(),
            capacity: runbook_engine::run::DEFAULT_CAPACITY,
            watched: false,
        }
    }
}

/// Runs a plan to its end, or as far as it goes without a person.
///
/// # Errors
/// The plan is refused before anything was journaled, or the store failed on the way.
pub fn run(
    setup: &Setup,
    choice: &Choice,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<ExitReport, Refused> {
    // What can be told without the store is told before anything is made.
    Secrets::from_vars(&setup.vars)?;
    client::insist(|| match client::reach_or_make(setup)? {
        Reached::Store(store) => {
            let by = Person::of_this_process().name;
            let start = start.clone();
            hold(setup, choice, store, observer, |coordinator| coordinator.start(start, &by).map(Begun::Run))
        }
        Reached::Holder(holder) => submit(setup, choice, start.clone(), holder, observer),
    })
}

/// Goes on with a run: by id or unique prefix; without one the only unfinished run, else the newest. A finished run
/// gives its report. A paused one goes on.
///
/// # Errors
/// There is no such run, or the store cannot be had, or failed on the way.
pub fn resume(
    setup: &Setup,
    run: Option<&str>,
    no_wait: bool,
    observer: &mut dyn Observer,
) -> Result<ExitReport, Refused> {
    client::insist(|| match client::reach(setup)? {
        Reached::Store(store) => {
            let rows = store.runs()?;
            let row = replay::select(&rows, run, &setup.state)?.clone();
            if row.finished_at.is_some() {
                let replayed = replay::load(&store, &row)?;
                return Ok(ExitReport::of(&replayed.run, &row.run));
            }
            let by = Person::of_this_process().name;
            hold(setup, &Choice::of_run(&row), store, observer, |coordinator| {
                resumed(coordinator, &row, &by, no_wait)
            })
        }
        Reached::Holder(holder) => {
            let id = client::advance(holder, Ask::Resume { run: run.map(str::to_owned) })?;
            client::follow(setup, Some(id.as_str()), 1, observer)
        }
    })
}

fn resumed(
    coordinator: &mut Coordinator<'_>,
    row: &RunRow,
    by: &str,
    no_wait: bool,
) -> Result<Begun, Refused> {
    Ok(match coordinator.resume(row, by, no_wait)? {
        Some(report) => Begun::Over(report),
        None => Begun::Run(row.run.clone()),
    })
}

/// What a session begins with.
enum Begun {
    /// A run to drive.
    Run(RunId),
    /// One that is over already.
    Over(ExitReport),
}

/// Holds the store until the last run of this process ends; the report of the first.
fn hold(
    setup: &Setup,
    choice: &Choice,
    store: SledStore,
    observer: &mut dyn Observer,
    begin: impl FnOnce(&mut Coordinator<'_>) -> Result<Begun, Refused>,
) -> Result<ExitReport, Refused> {
    let secrets = Secrets::from_vars(&setup.vars)?;
    let here = world::live(choice, setup, Path::new("."))?;
    let owner = nix::unistd::geteuid().as_raw();
    let simulated = matches!(here.outside, Outside::Simulated(_));
    here.runtime.block_on(async {
        let failed = |doing| move |source| Refused::Io { doing, source };
        let interrupts = interrupts::listen().map_err(failed("listening to signals"))?;
        let parts = Parts {
            store: Box::new(store),
            outside: here.outside,
            actions: Actions::standard(),
            settings: here.settings,
            secrets: secrets.simulated(simulated),
            interrupts,
            capacity: setup.capacity,
            state: setup.state.clone(),
            environment: here.environment,
            world: here.name,
            owner,
        };
        let mut coordinator = Coordinator::new(parts, observer);
        let id = match begin(&mut coordinator)? {
            Begun::Run(id) => id,
            Begun::Over(report) => return Ok(report),
        };
        let server = match Server::listen(&setup.state, owner, coordinator.sender()) {
            Ok(server) => Some(server),
            Err(error) => {
                coordinator
                    .notice(&format!("other commands cannot reach this run while it goes on: {error}"));
                None
            }
        };
        let reports = coordinator.drive().await?;
        if let Some(server) = &server {
            let open = server.open();
            let queue = coordinator.sender();
            let reminder = thread::Builder::new().spawn(move || {
                thread::sleep(FAREWELL);
                // Whoever is gone by then needs no reminder.
                let _ = queue.send(Message::Close);
            });
            // On a machine that gives us no thread, followers find the rest in the store.
            if reminder.is_ok() {
                coordinator.farewell(|| open.load(Ordering::Relaxed) > 0).await;
            }
        }
        drop(server);
        reports.into_iter().find(|report| report.run == id).ok_or_else(|| Refused::Bug {
            what: format!("run {id} has no report"),
            at: jiff::Timestamp::now(),
        })
    })
}

/// Hands a plan to the process that holds the store, and follows the run there.
fn submit(
    setup: &Setup,
    choice: &Choice,
    start: Start,
    holder: Holder,
    observer: &mut dyn Observer,
) -> Result<ExitReport, Refused> {
    let ask = Ask::Submit {
        environment: world::environment(choice, setup)?,
        plan: Box::new(Arc::unwrap_or_clone(start.plan)),
        expect_plan: start.expect_plan,
        not_before: start.not_before,
    };
    let run = client::advance(holder, ask)?;
    observer.notice(&format!("run {run} goes on in the process that holds {}", setup.state.display()));
    if start.no_wait {
        return Ok(ExitReport::detached(run));
    }
    client::follow(setup, Some(run.as_str()), 1, observer)
}
