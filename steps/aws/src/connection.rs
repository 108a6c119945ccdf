//! One account, Region and role: its clients, made at the first call and kept.

use std::{sync::Arc, sync::atomic::AtomicBool, time::Duration};

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, sts::AssumeRoleProvider,
    timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ssm::config::retry::RetryPartition;
use runbook_engine::target::Home;
use runbook_steps::ports::fault::{Fault, FaultKind};
use tokio::sync::OnceCell;

use crate::{Caller, fault::fault};

/// The SDK sets no limit for an attempt or a call of its own: a half-dead connection would hang for ever.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(120);

/// The configuration that everything starts from: a given one, or the process's own, loaded at the first call.
#[derive(Default)]
pub(crate) struct Base(OnceCell<SdkConfig>);

impl Base {
    pub fn given(config: SdkConfig) -> Self {
        Self(OnceCell::new_with(Some(bounded(config))))
    }

    async fn config(&self) -> &SdkConfig {
        self.0
            .get_or_init(|| async {
                let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
                if let Ok(name) = AppName::new("runbook") {
                    loader = loader.app_name(name);
                }
                bounded(loader.load().await)
            })
            .await
    }
}

/// The same with our time-outs and number of tries.
fn bounded(config: SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    config.into_builder().timeout_config(timeouts).retry_config(RetryConfig::standard()).build()
}

/// Which account, Region and role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Door {
    /// Absent: the configured one.
    pub region: Option<String>,
    /// Absent: the configured credentials as they are.
    pub role: Option<String>,
    /// The account that the plan was made for: with credentials for another one, every call is refused.
    pub account: Option<String>,
}

impl Door {
    pub fn new(region: Option<&str>, role: Option<&str>, account: Option<&str>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self { region: owned(region), role: owned(role), account: owned(account) }
    }

    pub fn to(home: &Home) -> Self {
        match home {
            Home::Aws { account, region, role, external_id: _ } => {
                Self { region: region.clone(), role: role.clone(), account: account.clone() }
            }
            Home::Host { .. } => Self { region: None, role: None, account: None },
        }
    }
}

/// The way to one account, Region and role.
pub(crate) struct Connection {
    base: Arc<Base>,
    door: Door,
    clients: OnceCell<Clients>,
    /// The server answered that it does not know `ListCommandInvocations`.
    pub lacks_batched_reading: AtomicBool,
}

/// The clients of one account, Region and role.
pub(crate) struct Clients {
    pub ssm: aws_sdk_ssm::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub groups: aws_sdk_resourcegroups::Client,
    pub sts: aws_sdk_sts::Client,
    pub region: String,
}

impl Connection {
    pub fn new(base: Arc<Base>, door: Door) -> Self {
        Self { base, door, clients: OnceCell::new(), lacks_batched_reading: AtomicBool::new(false) }
    }

    pub fn role(&self) -> Option<&str> {
        self.door.role.as_deref()
    }

    /// The clients; `call` is what they are wanted for.
    pub async fn clients(&self, call: &'static str) -> Result<&Clients, Fault> {
        self.clients
            .get_or_try_init(|| async {
                let clients = self.open(call).await?;
                self.check_account(call, &clients).await?;
                Ok(clients)
            })
            .await
    }

    pub async fn caller(&self) -> Result<Caller, Fault> {
        identity(self.clients("sts:GetCallerIdentity").await?).await
    }

    async fn open(&self, call: &'static str) -> Result<Clients, Fault> {
        let base = self.base.config().await;
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
        let mut config = base.to_builder().region(Region::new(region.clone()));
        if let Some(role) = &self.door.role {
            let provider = AssumeRoleProvider::builder(role)
                .session_name("runbook")
                .region(Region::new(region.clone()))
                .configure(base)
                .build()
                .await;
            config = config.credentials_provider(SharedCredentialsProvider::new(provider));
        }
        let config = config.build();
        // Each way has a retry budget of its own: an outage of one Region must not use up another one's.
        let partition = RetryPartition::new(format!("{region} {}", self.role().unwrap_or_default()));
        let ssm = aws_sdk_ssm::config::Builder::from(&config).retry_partition(partition.clone()).build();
        let ec2 = aws_sdk_ec2::config::Builder::from(&config).retry_partition(partition).build();
        Ok(Clients {
            ssm: aws_sdk_ssm::Client::from_conf(ssm),
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            groups: aws_sdk_resourcegroups::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            region,
        })
    }

    /// Ids mean nothing in another account; credentials that changed between two lives of a run would look at, or
    /// change, the wrong machines. Where nobody answers the question (no way to STS), the ids themselves must do.
    async fn check_account(&self, call: &'static str, clients: &Clients) -> Result<(), Fault> {
        let Some(planned) = &self.door.account else { return Ok(()) };
        match identity(clients).await {
            Ok(caller) if caller.account == *planned => Ok(()),
            Ok(caller) => Err(Fault {
                call,
                kind: FaultKind::Credentials,
                code: None,
                message: format!(
                    "the credentials are for account {}, the plan is for {planned}; set AWS_PROFILE to one of {planned}",
                    caller.account
                ),
            }),
            Err(fault) if fault.kind == FaultKind::Credentials => Err(fault),
            Err(fault) => {
                tracing::warn!(%fault, planned, "the account could not be verified");
                Ok(())
            }
        }
    }
}

async fn identity(clients: &Clients) -> Result<Caller, Fault> {
    const CALL: &str = "sts:GetCallerIdentity";
    let answer = clients.sts.get_caller_identity().send().await.map_err(|error| fault(CALL, &error))?;
    Ok(Caller {
        account: answer.account().unwrap_or_default().to_owned(),
        arn: answer.arn().unwrap_or_default().to_owned(),
    })
}
