//! The sandbox: a world, and what stands between it and the wire.

use std::{
    fmt, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use runbook_steps::{
    ports::http::Http,
    world::{FleetError, World, WorldOptions},
};
use thiserror::Error;
use tokio::sync;

use crate::{
    backup::BackupService,
    call_log::{CallLog, Entry},
    ec2::Ec2Service,
    hold::Holds,
    keys::Keys,
    monitoring::MonitoringService,
    paging::Pages,
    service::Service,
    ssm::SsmService,
    sts::StsService,
};

/// The file of the world's facts.
const FACTS: &str = "world.jsonl";
/// The file of the call log.
const CALLS: &str = "calls.jsonl";
/// Locked for as long as a sandbox holds the folder.
const LOCK: &str = "lock";

/// How a sandbox is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the world's state and the call log are kept; absent: nowhere.
    pub folder: Option<PathBuf>,
    /// World seconds per real second. 0: time stands still unless it is moved.
    pub speed: u32,
    /// What durations and draws come from.
    pub seed: u64,
}

/// Why a sandbox cannot be opened.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The fleet file or the state of its world.
    #[error(transparent)]
    World(#[from] FleetError),
    /// Another sandbox has it.
    #[error("another sandbox uses {path}")]
    InUse {
        /// The folder.
        path: String,
    },
    /// The folder cannot be used.
    #[error("{path} cannot be used")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Anybody in the network could use it: it verifies no signatures.
    #[error(
        "{address} is not a loopback address: the sandbox verifies no signatures, so only this machine may reach it"
    )]
    NotLoopback {
        /// What was asked for.
        address: std::net::SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on")]
    Listen {
        /// What was asked for.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
}

type Watcher = Box<dyn Fn(&Entry) + Send + Sync>;

/// A simulated AWS.
pub struct Sandbox {
    world: Arc<World>,
    /// HTTP and TCP to its machines.
    http: Arc<dyn Http>,
    pages: Pages,
    keys: Keys,
    holds: Holds,
    log: Mutex<CallLog>,
    /// One call at a time, so that what the world writes down in it is what the call did.
    turn: sync::Mutex<()>,
    services: Vec<(&'static str, Box<dyn Service>)>,
    watcher: Option<Watcher>,
    _lock: Option<fs::File>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("world", &self.world.about().0).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Opens the world that a fleet file (its text) describes. It goes on where it stood.
    ///
    /// # Errors
    /// The fleet file is wrong, or the folder cannot be used.
    pub fn open(fleet: &str, options: &Options) -> Result<Self, SandboxError> {
        let lock = options.folder.as_deref().map(lock).transpose()?;
        let facts = options.folder.as_ref().map(|folder| folder.join(FACTS));
        let options_of_world = WorldOptions { seed: options.seed, speed: Some(options.speed) };
        let world = World::open(fleet, facts.as_deref(), options_of_world)?;
        let log = match options.folder.as_ref().map(|folder| folder.join(CALLS)) {
            Some(path) => CallLog::open(&path).map_err(failed(&path))?,
            None => CallLog::default(),
        };
        if let Some(reached) = log.reached() {
            world.advance_to(reached);
        }
        Ok(Self {
            http: world.ports().http,
            world,
            pages: Pages::default(),
            keys: Keys::default(),
            holds: Holds::default(),
            log: Mutex::new(log),
            turn: sync::Mutex::new(()),
            // By the names that they sign with.
            services: vec![
                ("ssm", Box::new(SsmService)),
                ("ec2", Box::new(Ec2Service)),
                ("backup", Box::new(BackupService)),
                ("sts", Box::new(StsService)),
                ("monitoring", Box::new(MonitoringService)),
            ],
            watcher: None,
            _lock: lock,
        })
    }

    /// Is told of every AWS call that is over.
    #[must_use]
    pub fn watched(self, watcher: impl Fn(&Entry) + Send + Sync + 'static) -> Self {
        Self { watcher: Some(Box::new(watcher)), ..self }
    }

    /// The simulated world.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The account of callers whose key carries none.
    pub fn first_account(&self) -> String {
        self.world.first_account()
    }

    /// Every AWS call that is over.
    pub fn calls(&self) -> Vec<Entry> {
        self.log().entries()
    }

    pub(crate) fn http(&self) -> &dyn Http {
        &*self.http
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn holds(&self) -> &Holds {
        &self.holds
    }

    pub(crate) fn turn(&self) -> &sync::Mutex<()> {
        &self.turn
    }

    pub(crate) fn service(&self, signing_name: &str) -> Option<&dyn Service> {
        self.services.iter().find(|(name, _)| *name == signing_name).map(|(_, service)| &**service)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, CallLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call is over. A log that cannot be written is no reason to refuse it: the world's own state is elsewhere.
    pub(crate) fn note(&self, entry: Entry) {
        if let Some(watcher) = &self.watcher {
            watcher(&entry);
        }
        let _ = self.log().note(entry);
    }
}

fn lock(folder: &Path) -> Result<fs::File, SandboxError> {
    // Nobody else's business; and a state folder that this is the first thing in has to be closed to others.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    let path = folder.join(LOCK);
    let file =
        fs::File::options().write(true).create(true).truncate(false).open(&path).map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SandboxError::InUse { path: folder.display().to_string() }),
        Err(fs::TryLockError::Error(source)) => Err(failed(&path)(source)),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SandboxError {
    move |source| SandboxError::Io { path: path.display().to_string(), source }
}
