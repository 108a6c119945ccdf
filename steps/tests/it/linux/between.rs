//! Who stands between an action and the simulated hosts, and gives other answers than they do.

use std::sync::Arc;

use async_trait::async_trait;
use runbook_engine::target::Target;
use runbook_steps::{
    ports::{
        Ports,
        fault::{Fault, FaultKind},
        linux::{
            Change, Facts, Job, Linux, LogAsked, Look, Order, Package, Progress, Seen, ServiceState, Update,
        },
    },
    world::World,
};

type Refuse = Box<dyn Fn(&'static str, &Target, Option<&Job>) -> Option<Fault> + Send + Sync>;
type Tell = Box<dyn Fn(Progress) -> Progress + Send + Sync>;

/// The hosts of a world, with somebody in between.
pub struct Between {
    inner: Arc<dyn Linux>,
    refuse: Refuse,
    tell: Tell,
}

impl Between {
    /// Who lets everything pass.
    pub fn of(world: &Arc<World>) -> Self {
        Self { inner: world.ports().linux, refuse: Box::new(|_, _, _| None), tell: Box::new(|seen| seen) }
    }

    /// The same who answers some calls with a fault: named by the call, the host, and the job that is to be started.
    pub fn refusing(
        mut self,
        refuse: impl Fn(&'static str, &Target, Option<&Job>) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        self.refuse = Box::new(refuse);
        self
    }

    /// The same who tells something else of how jobs stand.
    pub fn telling(mut self, tell: impl Fn(Progress) -> Progress + Send + Sync + 'static) -> Self {
        self.tell = Box::new(tell);
        self
    }

    /// The world's ports, with this one.
    pub fn ports(self, world: &Arc<World>) -> Ports {
        Ports { linux: Arc::new(self), ..world.ports() }
    }

    fn ask(&self, call: &'static str, host: &Target, job: Option<&Job>) -> Result<(), Fault> {
        (self.refuse)(call, host, job).map_or(Ok(()), Err)
    }
}

/// A fault of this kind.
pub fn fault(call: &'static str, kind: FaultKind, message: &str) -> Fault {
    Fault { call, kind, code: None, message: message.to_owned() }
}

#[async_trait]
impl Linux for Between {
    async fn facts(&self, host: &Target) -> Result<Facts, Fault> {
        self.ask("ssh:facts", host, None)?;
        self.inner.facts(host).await
    }
    async fn boot(&self, host: &Target) -> Result<String, Fault> {
        self.ask("ssh:boot", host, None)?;
        self.inner.boot(host).await
    }
    async fn packages(&self, host: &Target) -> Result<Vec<Package>, Fault> {
        self.ask("ssh:packages", host, None)?;
        self.inner.packages(host).await
    }
    async fn pending(&self, host: &Target) -> Result<Vec<Update>, Fault> {
        self.ask("ssh:pending", host, None)?;
        self.inner.pending(host).await
    }
    async fn rehearse(&self, host: &Target, order: &Order) -> Result<Vec<Change>, Fault> {
        self.ask("ssh:rehearse", host, None)?;
        self.inner.rehearse(host, order).await
    }
    async fn service(&self, host: &Target, name: &str) -> Result<ServiceState, Fault> {
        self.ask("ssh:service", host, None)?;
        self.inner.service(host, name).await
    }
    async fn look(&self, host: &Target, look: &Look) -> Result<Seen, Fault> {
        self.inner.look(host, look).await
    }
    async fn log(&self, host: &Target, asked: &LogAsked) -> Result<Vec<String>, Fault> {
        self.inner.log(host, asked).await
    }
    async fn start(&self, host: &Target, job: &Job) -> Result<(), Fault> {
        self.ask("ssh:start", host, Some(job))?;
        self.inner.start(host, job).await
    }
    async fn progress(&self, host: &Target, token: &str) -> Result<Progress, Fault> {
        self.ask("ssh:progress", host, None)?;
        self.inner.progress(host, token).await.map(&self.tell)
    }
    async fn end(&self, host: &Target, token: &str) -> Result<(), Fault> {
        self.inner.end(host, token).await
    }
    async fn forget(&self, host: &Target, token: &str) -> Result<(), Fault> {
        self.inner.forget(host, token).await
    }
}
