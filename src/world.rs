//! The world that commands plan and run in: the real one, a simulated fleet, or one that a sandbox serves.

mod hosts;
mod real;
mod sandboxed;

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
};

use runbook_state::store::RunRow;
use runbook_steps::{
    context::Settings,
    ports::Ports,
    world::{self as simulated, FleetError, FleetFile, World, WorldOptions},
};
use sha2::{Digest, Sha256};
use tokio::runtime::{self, Runtime};

pub use self::sandboxed::Sandboxed;
use crate::coordinator::{outside::Outside, refused::Refused, session::Setup};

/// The folder of simulated worlds in the state folder.
const WORLDS: &str = "worlds";

/// The fleet file of a kept world.
const FLEET: &str = "fleet.yaml";

/// What happened in a kept world.
const FACTS: &str = "world.jsonl";

/// Which world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The real one; or a sandbox that stands for it, where the environment names one (`RUNBOOK_SANDBOX`).
    Real,
    /// The simulated fleet of this file. The same file is the same world, which goes on where it stood still.
    Fleet(PathBuf),
    /// A simulated world that the state folder keeps, by its name there.
    Kept(String),
    /// The sandbox of this name, or the real world, and not the other one: a run must not go on in another world than
    /// it began in.
    Same(Option<String>),
}

impl Choice {
    /// The world of a run: where its retry and its rollback must happen too.
    pub fn of_run(row: &RunRow) -> Self {
        match &row.world {
            Some(name) if !name.starts_with(sandboxed::PREFIX) => Self::Kept(name.clone()),
            outside => Self::Same(outside.clone()),
        }
    }
}

/// A world to plan in: nothing is changed in it.
pub struct Environment {
    runtime: Runtime,
    ports: Ports,
}

impl Environment {
    /// Its ports.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Waits for something in it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

/// Opens a world to plan in. Host inventories are read relative to `folder`, the runbook's.
///
/// # Errors
/// The fleet file is wrong.
pub fn planning(choice: &Choice, setup: &Setup, folder: &Path) -> Result<Environment, Refused> {
    let Some(fleet) = Fleet::read(choice, setup)? else {
        return match sandbox(choice, setup, folder)? {
            Some(sandbox) => Ok(Environment { runtime: jumping_runtime()?, ports: sandbox.ports() }),
            None => Ok(Environment {
                runtime: plain_runtime()?,
                ports: real::ports(setup, folder, real::Around::real(&setup.vars))?,
            }),
        };
    };
    // Whoever holds the store may be writing to the world's file: what is planned with is a copy.
    let facts = fleet.folder.join(FACTS);
    let options = WorldOptions::default();
    let world = if facts.exists() {
        let copy = std::env::temp_dir().join(format!("runbook-{}.jsonl", uuid::Uuid::new_v4().simple()));
        fs::copy(&facts, &copy).map_err(io_failed("copying the simulated world"))?;
        let world = World::open(&fleet.text, Some(&copy), options);
        // It stays open for as long as it is needed.
        let _ = fs::remove_file(&copy);
        world
    } else {
        World::open(&fleet.text, None, options)
    };
    Ok(Environment { runtime: jumping_runtime()?, ports: world.map_err(|error| wrong(&error))?.ports() })
}

/// A simulated world of a fleet, to plan in.
///
/// # Errors
/// The fleet makes no sense.
pub fn of_fleet(fleet: FleetFile) -> Result<Environment, Refused> {
    let world = World::of(fleet, WorldOptions::default().seed).map_err(|error| wrong(&error))?;
    Ok(Environment { runtime: jumping_runtime()?, ports: world.ports() })
}

/// A world that runs work in.
pub(crate) struct Live {
    pub runtime: Runtime,
    pub outside: Outside,
    pub settings: Settings,
    /// What it is, for those who would work in another one.
    pub environment: String,
    /// What its runs say where they are; none: it is the real one.
    pub name: Option<String>,
}

/// What a world is called, for those who would work in another one.
///
/// # Errors
/// The fleet file cannot be read.
pub(crate) fn environment(choice: &Choice, setup: &Setup) -> Result<String, Refused> {
    Ok(match Fleet::read(choice, setup)? {
        Some(fleet) => format!("the simulated fleet {}", fleet.name),
        None => real::environment(&setup.vars),
    })
}

/// What the runs of a world say where they are; none: it is the real one.
///
/// # Errors
/// The fleet file cannot be read, or the sandbox does not answer.
pub fn name(choice: &Choice, setup: &Setup) -> Result<Option<String>, Refused> {
    match Fleet::read(choice, setup)? {
        Some(fleet) => Ok(Some(fleet.name)),
        None => Ok(sandbox(choice, setup, Path::new("."))?.map(|sandbox| sandbox.name().to_owned())),
    }
}

/// The sandbox, where this choice means one.
fn sandbox(choice: &Choice, setup: &Setup, folder: &Path) -> Result<Option<Arc<Sandboxed>>, Refused> {
    let Choice::Same(run) = choice else { return Sandboxed::open(setup, folder) };
    let other = |here| Refused::OtherWorld { run: run.clone(), here };
    if run.is_none() && Sandboxed::is_named(setup) {
        return Err(other(None));
    }
    let found = Sandboxed::open(setup, folder)?;
    let here = found.as_ref().map(|sandbox| sandbox.name().to_owned());
    if here == *run { Ok(found) } else { Err(other(here)) }
}

/// Opens a world that runs work in. The caller holds the store's lock.
///
/// # Errors
/// The fleet file is wrong, or the world's file cannot be used.
pub(crate) fn live(choice: &Choice, setup: &Setup, plan_folder: &Path) -> Result<Live, Refused> {
    let environment = environment(choice, setup)?;
    let Some(fleet) = Fleet::read(choice, setup)? else {
        let (runtime, outside, name) = match sandbox(choice, setup, plan_folder)? {
            Some(sandbox) => {
                let name = sandbox.name().to_owned();
                (jumping_runtime()?, Outside::Sandboxed(sandbox), Some(name))
            }
            None => {
                let ports = real::ports(setup, plan_folder, real::Around::real(&setup.vars))?;
                (plain_runtime()?, Outside::Real(ports), None)
            }
        };
        return Ok(Live { runtime, outside, settings: setup.settings.clone(), environment, name });
    };
    fleet.keep()?;
    let asked = World::open(&fleet.text, None, WorldOptions::default()).map_err(|error| wrong(&error))?;
    let speed = asked.speed_for_watchers().filter(|_| setup.watched && io::stdout().is_terminal());
    let options = WorldOptions { speed, ..WorldOptions::default() };
    let world =
        World::open(&fleet.text, Some(&fleet.folder.join(FACTS)), options).map_err(|error| wrong(&error))?;
    Ok(Live {
        runtime: if speed.is_some() { plain_runtime()? } else { jumping_runtime()? },
        settings: Settings { settle: world.settle(), ..setup.settings.clone() },
        outside: Outside::Simulated(world),
        environment,
        name: Some(fleet.name),
    })
}

/// What the world of a fleet file (its path and text) is called in the state folder. Another text is another world.
pub fn fleet_name(path: &Path, text: &str) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let plain: String =
        stem.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    let digest = Sha256::digest(text.as_bytes());
    let short: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{plain}-{short}")
}

/// A fleet file and where the state folder keeps its world.
struct Fleet {
    text: String,
    name: String,
    folder: PathBuf,
}

impl Fleet {
    fn read(choice: &Choice, setup: &Setup) -> Result<Option<Self>, Refused> {
        let worlds = setup.state.join(WORLDS);
        let unreadable =
            |path: &Path, error: io::Error| Refused::Fleet { why: format!("{}: {error}", path.display()) };
        match choice {
            Choice::Real | Choice::Same(_) => Ok(None),
            Choice::Fleet(path) => {
                let text = fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
                let name = fleet_name(path, &text);
                Ok(Some(Self { folder: worlds.join(&name), text, name }))
            }
            Choice::Kept(name) => {
                let folder = worlds.join(name);
                let file = folder.join(FLEET);
                let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
                Ok(Some(Self { folder, text, name: name.clone() }))
            }
        }
    }

    /// Keeps the fleet file, so that `resume` needs no more than the state folder.
    fn keep(&self) -> Result<(), Refused> {
        let doing = "keeping the simulated world";
        let file = self.folder.join(FLEET);
        if file.exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).map_err(io_failed(doing))?;
        let fresh = self.folder.join("fleet.yaml.new");
        fs::write(&fresh, &self.text).map_err(io_failed(doing))?;
        fs::File::open(&fresh).and_then(|file| file.sync_all()).map_err(io_failed(doing))?;
        fs::rename(&fresh, &file).map_err(io_failed(doing))?;
        fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(io_failed(doing))
    }
}

fn plain_runtime() -> Result<Runtime, Refused> {
    runtime::Builder::new_current_thread().enable_all().build().map_err(io_failed("preparing to wait"))
}

fn jumping_runtime() -> Result<Runtime, Refused> {
    simulated::runtime().map_err(io_failed("preparing to wait"))
}

fn io_failed(doing: &'static str) -> impl Fn(io::Error) -> Refused {
    move |source| Refused::Io { doing, source }
}

fn wrong(error: &FleetError) -> Refused {
    Refused::Fleet { why: error.to_string() }
}

/// The variables of an environment that say where AWS is and who we are there.
pub(crate) type Vars = BTreeMap<String, String>;
