//! Where the world begins: small traits in its own terms, each with a real adapter and a simulated one.

pub mod backup;
pub mod clock;
pub mod ec2;
pub mod fault;
pub mod fleet;
pub mod http;
pub mod inventory;
pub mod process;
pub mod ssm;

use std::sync::Arc;

/// Everything outside that actions may touch.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn clock::Clock>,
    /// HTTP and TCP.
    pub http: Arc<dyn http::Http>,
    /// Programs on this machine.
    pub process: Arc<dyn process::Process>,
    /// Which machines there are.
    pub inventory: Arc<dyn inventory::Inventory>,
    /// AWS by account, Region and role; absent where this binary or this run has no AWS.
    pub aws: Option<Arc<dyn AwsFactory>>,
}

/// Gives the AWS ports of one account, Region and role. Clients are made once and kept.
pub trait AwsFactory: Send + Sync {
    /// Systems Manager: Run Command and patch states.
    fn ssm(&self, home: &runbook_engine::target::Home) -> Arc<dyn ssm::Ssm>;
    /// Snapshots, patches, restores, reboots: goes away with the last action that uses it.
    fn fleet(&self, home: &runbook_engine::target::Home) -> Option<Arc<dyn fleet::Fleet>>;
    /// EC2. `None`: not yet.
    fn ec2(&self, _home: &runbook_engine::target::Home) -> Option<Arc<dyn ec2::Ec2>> {
        None
    }
    /// AWS Backup. `None`: not yet.
    fn backup(&self, _home: &runbook_engine::target::Home) -> Option<Arc<dyn backup::Backup>> {
        None
    }
}
