//! The adapter: what the port asks for, put together.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use runbook_engine::{connection::Sudo, target::Target};
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{
        Change, Facts, Job, Linux, LogAsked, Look, Order, Package, Progress, Seen, ServiceState, Update,
    },
};

use crate::{
    Places,
    ssh::{Access, Answer, Call, Pool, Rights, fault},
};

/// How many connections are open at a time, unless said otherwise: each is a process of ours of 2 MiB of its own.
const MOST: usize = 64;

/// How long a connected host may take to begin, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells a secret by its name.
type Secrets = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Hosts of our own. Clones share their connections, which are closed with the last of them.
#[derive(Clone)]
pub struct Hosts {
    pool: Arc<Pool>,
    places: Arc<Places>,
    secrets: Secrets,
    folder: Option<PathBuf>,
    withheld: Vec<String>,
    most: usize,
    patience: Duration,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Self::new()
    }
}

impl Hosts {
    /// Hosts, none of which is connected, and no secrets.
    pub fn new() -> Self {
        Self {
            pool: Arc::new(Pool::new(bases(None), Vec::new(), MOST, PATIENCE)),
            places: Arc::default(),
            secrets: Arc::new(|_| None),
            folder: None,
            withheld: Vec::new(),
            most: MOST,
            patience: PATIENCE,
        }
    }

    /// Control sockets are made in this folder of the user's, if its path is not too long for a socket; else in `/tmp`.
    #[must_use]
    pub fn in_folder(self, folder: Option<PathBuf>) -> Self {
        Self { folder, ..self }.anew()
    }

    /// Keeps these variables of our own environment from `ssh` and what it starts.
    #[must_use]
    pub fn withholding(self, names: impl IntoIterator<Item = String>) -> Self {
        Self { withheld: names.into_iter().collect(), ..self }.anew()
    }

    /// At most so many connections are open at a time.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }.anew()
    }

    /// A host that is connected may take so long to open a session, and then to begin; 30 s unless said otherwise:
    /// `sudo` may have to ask a directory that is slow.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }.anew()
    }

    fn anew(self) -> Self {
        let base = bases(self.folder.clone());
        let pool = Arc::new(Pool::new(base, self.withheld.clone(), self.most, self.patience));
        Self { pool, ..self }
    }

    /// Where passwords for sudo, and secrets that jobs want by name, are told.
    #[must_use]
    pub fn with_secrets(self, secrets: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { secrets: Arc::new(secrets), ..self }
    }

    /// Other places than those of real hosts: for tests.
    #[must_use]
    pub fn with_places(self, places: Places) -> Self {
        Self { places: Arc::new(places), ..self }
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The secret of this name.
    pub(crate) fn secret(&self, call: &'static str, name: &str) -> Result<String, Fault> {
        (self.secrets)(name).ok_or_else(|| {
            let message = format!(
                "there is no secret `{name}`: set RUNBOOK_SECRET_{name}, or put it into a file of that name"
            );
            fault(call, FaultKind::Credentials, message)
        })
    }

    /// Runs a script on a host.
    pub(crate) async fn call(&self, host: &Target, call: &Call<'_>) -> Result<Answer, Fault> {
        let access = Access::of(host)?;
        let password = match (call.rights, access.sudo(), &access.connection.sudo_password) {
            (Rights::Root, Sudo::Password, Some(name)) => Some(self.secret(call.name, name)?),
            _ => None,
        };
        self.pool.call(&access, call, password.as_deref()).await
    }
}

/// Where the folder of the control sockets may be.
fn bases(folder: Option<PathBuf>) -> Vec<PathBuf> {
    folder.into_iter().chain([PathBuf::from("/tmp")]).collect()
}

#[async_trait]
impl Linux for Hosts {
    async fn facts(&self, host: &Target) -> Result<Facts, Fault> {
        self.facts_of(host).await
    }
    async fn boot(&self, host: &Target) -> Result<String, Fault> {
        self.boot_id(host).await
    }
    async fn packages(&self, host: &Target) -> Result<Vec<Package>, Fault> {
        self.installed(host).await
    }
    async fn pending(&self, host: &Target) -> Result<Vec<Update>, Fault> {
        self.newer(host).await
    }
    async fn rehearse(&self, host: &Target, order: &Order) -> Result<Vec<Change>, Fault> {
        self.rehearsed(host, order).await
    }
    async fn service(&self, host: &Target, name: &str) -> Result<ServiceState, Fault> {
        self.service_state(host, name).await
    }
    async fn look(&self, host: &Target, look: &Look) -> Result<Seen, Fault> {
        self.seen(host, look).await
    }
    async fn log(&self, host: &Target, asked: &LogAsked) -> Result<Vec<String>, Fault> {
        self.logged(host, asked).await
    }
    async fn start(&self, host: &Target, job: &Job) -> Result<(), Fault> {
        self.begin(host, job).await
    }
    async fn progress(&self, host: &Target, token: &str) -> Result<Progress, Fault> {
        self.progress_of(host, token).await
    }
    async fn end(&self, host: &Target, token: &str) -> Result<(), Fault> {
        self.end_job(host, token).await
    }
    async fn forget(&self, host: &Target, token: &str) -> Result<(), Fault> {
        self.forget_job(host, token).await
    }
}
