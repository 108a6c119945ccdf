//! The ports of runbook's actions to real AWS: Run Command, the inventory of machines, and who we are.
//!
//! Environment variables, profiles, SSO, IMDS, `credential_process` and `AWS_ENDPOINT_URL` work as in the AWS CLI,
//! because aws-config reads them. Nothing is read, and nobody is called, before the first port call.
//!
//! Every call has an attempt time-out of 30 s and an operation time-out of 120 s. Calls that only read, or that are
//! harmless when repeated, are tried up to three times; a call without a client token is tried once, and an answer
//! that did not come is [`FaultKind::Ambiguous`](runbook_steps::ports::fault::FaultKind::Ambiguous).

mod connection;
mod fault;
mod inventory;
mod invocation;
mod machine;
mod run_command;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_config::SdkConfig;
use connection::{Base, Connection, Door};
use runbook_engine::target::Home;
use runbook_steps::ports::{AwsFactory, fault::Fault, fleet::Fleet, ssm::Ssm};

/// AWS: every account, Region and role that a runbook names.
#[derive(Default)]
pub struct Aws {
    base: Arc<Base>,
    connections: Mutex<BTreeMap<Door, Arc<Connection>>>,
}

/// Who AWS says that we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The twelve digits of the account.
    pub account: String,
    /// The user or the assumed role.
    pub arn: String,
}

impl Aws {
    /// AWS as the environment and the configuration files of this process describe it. Calls nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// AWS as this configuration describes it; time-outs and retries are ours all the same.
    pub fn with(config: SdkConfig) -> Self {
        Self { base: Arc::new(Base::given(config)), ..Self::default() }
    }

    /// Who we are in this Region and role (`sts:GetCallerIdentity`).
    ///
    /// # Errors
    /// The call that gave no answer, or missing credentials or Region.
    pub async fn caller(&self, region: Option<&str>, role: Option<&str>) -> Result<Caller, Fault> {
        self.connection(Door::new(region, role, None)).caller().await
    }

    fn connection(&self, door: Door) -> Arc<Connection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.entry(door.clone());
        Arc::clone(connection.or_insert_with(|| Arc::new(Connection::new(Arc::clone(&self.base), door))))
    }
}

impl AwsFactory for Aws {
    fn ssm(&self, home: &Home) -> Arc<dyn Ssm> {
        self.connection(Door::to(home))
    }

    fn fleet(&self, _home: &Home) -> Option<Arc<dyn Fleet>> {
        None
    }
}
