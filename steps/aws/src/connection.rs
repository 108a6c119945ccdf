//! One account, Region and role: its clients, made at the first call and kept while their credentials hold.

use std::sync::{Arc, atomic::AtomicBool};

use aws_config::{Region, SdkConfig, retry::RetryConfig, sts::AssumeRoleProvider};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ssm::config::retry::RetryPartition;
use runbook_engine::target::Home;
use runbook_steps::ports::fault::{Fault, FaultKind};
use tokio::sync::Mutex;

use crate::{
    Caller,
    base::Base,
    bucket::{Bucket, Buckets},
    call::Call,
    fault::fault,
    rate::Family,
};

/// Which account, Region and role.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Door {
    /// Absent: the configured one.
    pub region: Option<String>,
    /// Absent: the configured credentials as they are.
    pub role: Option<String>,
    /// What the role's owner wants to hear.
    pub external_id: Option<String>,
    /// The account that the plan was made for: with credentials for another one, every call is refused.
    pub account: Option<String>,
}

impl Door {
    pub fn to(home: &Home) -> Self {
        match home {
            Home::Aws { account, region, role, external_id } => Self {
                region: region.clone(),
                role: role.clone(),
                external_id: external_id.clone(),
                account: account.clone(),
            },
            Home::Host { .. } => Self::default(),
        }
    }
}

/// What all connections of a process share.
#[derive(Default)]
pub(crate) struct Shared {
    pub base: Base,
    pub buckets: Buckets,
    /// The profile that the configured credentials come from, for messages.
    pub profile: Option<String>,
}

/// The way to one account, Region and role.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    door: Door,
    clients: Mutex<Option<Arc<Clients>>>,
    /// The server answered that it does not know `ListCommandInvocations`.
    pub lacks_batched_reading: AtomicBool,
}

/// The clients of one account, Region and role.
pub(crate) struct Clients {
    pub ssm: aws_sdk_ssm::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub backup: aws_sdk_backup::Client,
    pub groups: aws_sdk_resourcegroups::Client,
    pub sts: aws_sdk_sts::Client,
    pub region: String,
    /// The account, as far as somebody said it: what rates are counted by.
    pub account: String,
}

impl Connection {
    pub fn new(shared: Arc<Shared>, door: Door) -> Self {
        Self { shared, door, clients: Mutex::default(), lacks_batched_reading: AtomicBool::new(false) }
    }

    /// The clients; `call` is what they are wanted for.
    pub async fn clients(&self, call: &'static str) -> Result<Arc<Clients>, Fault> {
        let mut clients = self.clients.lock().await;
        if let Some(clients) = &*clients {
            return Ok(Arc::clone(clients));
        }
        let opened = Arc::new(self.open(call).await?);
        *clients = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Clients with fresh credentials in place of these, whose credentials were refused.
    pub async fn renew(&self, call: &'static str, refused: &Arc<Clients>) -> Result<Arc<Clients>, Fault> {
        {
            let mut clients = self.clients.lock().await;
            // Somebody else may have renewed them while we waited.
            if clients.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, refused)) {
                *clients = None;
            }
        }
        self.clients(call).await
    }

    /// Who we are.
    pub async fn caller(&self) -> Result<Caller, Fault> {
        const CALL: Call = Call::new("sts:GetCallerIdentity", Family::Other);
        let answer = self.read(CALL, |clients| clients.sts.get_caller_identity().send()).await?;
        Ok(Caller { account: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() })
    }

    /// The bucket that calls of this family take their turn from.
    pub fn bucket(&self, clients: &Clients, family: Family) -> Arc<Bucket> {
        self.shared.buckets.of(&clients.account, &clients.region, family)
    }

    /// The same fault, with whose credentials they are and the next thing to type.
    pub fn refused(&self, mut fault: Fault) -> Fault {
        let whose = match (&self.shared.profile, &self.door.role) {
            (Some(profile), None) => format!("of profile `{profile}`"),
            (Some(profile), Some(role)) => format!("of profile `{profile}`, with which {role} is assumed"),
            (None, Some(role)) => format!("with which {role} is assumed"),
            (None, None) => "of this process".to_owned(),
        };
        let sign_in = match &self.shared.profile {
            Some(profile) => format!("aws sso login --profile {profile}"),
            None => "aws sso login".to_owned(),
        };
        fault.message = format!(
            "{}; renew the credentials {whose}, for example with `{sign_in}`, and check the clock",
            fault.message
        );
        fault
    }

    async fn open(&self, call: &'static str) -> Result<Clients, Fault> {
        let base = self.shared.base.config().await;
        let region =
            self.door.region.clone().or_else(|| base.region().map(ToString::to_string)).ok_or_else(|| {
                Fault {
                    call,
                    kind: FaultKind::Invalid,
                    code: None,
                    message: "no AWS Region is configured; set AWS_REGION, or `region:` of the target group"
                        .into(),
                }
            })?;
        let config = self.configure(&base, &region).await;
        // Each way has a retry budget of its own: an outage of one Region must not use up another one's.
        let partition = RetryPartition::new(format!(
            "{region} {} {}",
            self.door.role.as_deref().unwrap_or_default(),
            self.door.account.as_deref().unwrap_or_default()
        ));
        let ssm = aws_sdk_ssm::config::Builder::from(&config).retry_partition(partition.clone()).build();
        let ec2 = aws_sdk_ec2::config::Builder::from(&config).retry_partition(partition.clone()).build();
        let backup = aws_sdk_backup::config::Builder::from(&config).retry_partition(partition).build();
        let mut clients = Clients {
            ssm: aws_sdk_ssm::Client::from_conf(ssm),
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            backup: aws_sdk_backup::Client::from_conf(backup),
            groups: aws_sdk_resourcegroups::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            region,
            account: self.presumed_account(),
        };
        if let Some(account) = self.check_account(call, &clients).await? {
            clients.account = account;
        }
        Ok(clients)
    }

    /// The configuration of the clients: Region, role, and none of the SDK's retries.
    async fn configure(&self, base: &SdkConfig, region: &str) -> SdkConfig {
        let region = Region::new(region.to_owned());
        let mut config = base.to_builder().region(region.clone()).retry_config(RetryConfig::disabled());
        if let Some(role) = &self.door.role {
            let mut provider =
                AssumeRoleProvider::builder(role).session_name("runbook").region(region).configure(base);
            if let Some(external_id) = &self.door.external_id {
                provider = provider.external_id(external_id);
            }
            config = config.credentials_provider(SharedCredentialsProvider::new(provider.build().await));
        }
        config.build()
    }

    /// The account, where nobody can be asked: the planned one, or the role's.
    fn presumed_account(&self) -> String {
        let of_role = |role: &String| role.split(':').nth(4).map(str::to_owned);
        self.door.account.clone().or_else(|| self.door.role.as_ref().and_then(of_role)).unwrap_or_default()
    }

    /// Ids mean nothing in another account; credentials that changed between two lives of a run would look at, or
    /// change, the wrong machines. Where nobody answers the question (no way to STS), the ids themselves must do.
    async fn check_account(&self, call: &'static str, clients: &Clients) -> Result<Option<String>, Fault> {
        let answer = clients.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| fault("sts:GetCallerIdentity", &error));
        match (answer, &self.door.account) {
            (Ok(caller), planned) => {
                let account = caller.account.unwrap_or_default();
                if let Some(planned) = planned.as_ref().filter(|planned| **planned != account) {
                    return Err(Fault {
                        call,
                        kind: FaultKind::Credentials,
                        code: None,
                        message: format!(
                            "the credentials are for account {account}, the plan is for {planned}; \
                             set AWS_PROFILE to one of {planned}"
                        ),
                    });
                }
                Ok(Some(account).filter(|account| !account.is_empty()))
            }
            (Err(fault), _) if fault.kind == FaultKind::Credentials => Err(self.refused(fault)),
            // Who cannot assume the role now cannot make the call either, and asks again.
            (Err(fault), _) if fault.kind == FaultKind::Throttled => Err(fault),
            (Err(fault), _) if fault.kind == FaultKind::NotSent && self.door.role.is_some() => Err(fault),
            (Err(fault), planned) => {
                tracing::warn!(%fault, ?planned, "the account could not be verified");
                Ok(None)
            }
        }
    }
}
