//! The ports of runbook's actions to real AWS: Run Command, the inventory of machines, and who we are.
//!
//! Environment variables, profiles, SSO, IMDS, `credential_process` and `AWS_ENDPOINT_URL` work as in the AWS CLI,
//! because aws-config reads them. Nothing is read, and nobody is called, before the first port call.
//!
//! Every call has an attempt time-out of 30 s and an operation time-out of 120 s, and takes its turn from a token bucket
//! that all tasks of the process share: one for each account, Region and API family, slower while calls are throttled.
//! Calls that only read, or that are harmless when repeated, are tried up to four times (ten times while they are
//! throttled); a call that writes is sent once, and an answer that did not come is
//! [`FaultKind::Ambiguous`](runbook_steps::ports::fault::FaultKind::Ambiguous). Credentials that are refused are read
//! again once, and then the call is made again: it was not carried out.

mod backup;
mod base;
mod bucket;
mod call;
mod connection;
mod ec2;
mod error_code;
mod fault;
mod inventory;
mod invocation;
mod machine;
mod patch_state;
mod rate;
mod run_command;
mod sandbox;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_config::SdkConfig;
use base::Base;
use connection::{Connection, Door, Shared};
use runbook_engine::target::Home;
use runbook_steps::ports::{AwsFactory, backup::Backup, ec2::Ec2, fault::Fault, ssm::Ssm};

pub use sandbox::Sandbox;

/// AWS: every account, Region and role that a runbook names.
#[derive(Default)]
pub struct Aws {
    shared: Arc<Shared>,
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
        Self::starting_from(Base::Given(Box::new(config)), None)
    }

    /// The same, with the name of the profile that the credentials come from: for messages.
    pub fn of_profile(profile: Option<String>) -> Self {
        Self::starting_from(Base::default(), profile)
    }

    /// AWS as a sandbox on this machine plays it.
    pub fn in_sandbox(sandbox: Sandbox, profile: Option<String>) -> Self {
        Self::starting_from(Base::Process(Some(Box::new(move |loader| sandbox.adjust(loader)))), profile)
    }

    fn starting_from(base: Base, profile: Option<String>) -> Self {
        let shared = Shared { base, profile, ..Shared::default() };
        Self { shared: Arc::new(shared), ..Self::default() }
    }

    /// Who we are in this Region and role (`sts:GetCallerIdentity`).
    ///
    /// # Errors
    /// The call that gave no answer, or missing credentials or Region.
    pub async fn caller(&self, region: Option<&str>, role: Option<&str>) -> Result<Caller, Fault> {
        let door =
            Door { region: region.map(str::to_owned), role: role.map(str::to_owned), ..Door::default() };
        self.connection(door).caller().await
    }

    fn connection(&self, door: Door) -> Arc<Connection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.entry(door.clone());
        Arc::clone(connection.or_insert_with(|| Arc::new(Connection::new(Arc::clone(&self.shared), door))))
    }
}

impl AwsFactory for Aws {
    fn ssm(&self, home: &Home) -> Arc<dyn Ssm> {
        self.connection(Door::to(home))
    }

    fn ec2(&self, home: &Home) -> Arc<dyn Ec2> {
        self.connection(Door::to(home))
    }

    fn backup(&self, home: &Home) -> Arc<dyn Backup> {
        self.connection(Door::to(home))
    }
}
