//! Where the world begins: small traits in its own terms, each with a real adapter and a simulated one.

pub mod ansible;
pub mod backup;
pub mod clock;
pub mod ec2;
pub mod fault;
pub mod hindrance;
pub mod http;
pub mod inventory;
pub mod linux;
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
    /// Ansible playbooks that this machine runs.
    pub ansible: Arc<dyn ansible::Ansible>,
    /// Which machines there are.
    pub inventory: Arc<dyn inventory::Inventory>,
    /// Hosts of our own.
    pub linux: Arc<dyn linux::Linux>,
    /// AWS by account, Region and role; absent where this binary or this run has no AWS.
    pub aws: Option<Arc<dyn AwsFactory>>,
}

/// Gives the AWS ports of one account, Region and role. Clients are made once and kept.
pub trait AwsFactory: Send + Sync {
    /// Systems Manager: Run Command and patch states.
    fn ssm(&self, home: &runbook_engine::target::Home) -> Arc<dyn ssm::Ssm>;
    /// EC2: machines, volumes, snapshots.
    fn ec2(&self, home: &runbook_engine::target::Home) -> Arc<dyn ec2::Ec2>;
    /// AWS Backup: jobs, recovery points, restores.
    fn backup(&self, home: &runbook_engine::target::Home) -> Arc<dyn backup::Backup>;
}
