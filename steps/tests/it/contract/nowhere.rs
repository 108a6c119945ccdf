//! Ports to nowhere, for what an action must not touch.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use runbook_engine::{
    ids::{GroupName, TargetId},
    target::{Target, TargetQuery},
};
use runbook_steps::ports::{
    Ports,
    ansible::{Ansible, Play, Told},
    clock::Clock,
    fault::Fault,
    hindrance::Hindrance,
    http::{Http, Request},
    inventory::Inventory,
    linux::NoHosts,
    process::{Process, Program, Progress},
};

/// Whoever touches it has failed the test.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

/// Ports with this clock, and nothing behind the others.
pub fn ports(clock: impl Clock + 'static) -> Ports {
    Ports {
        clock: Arc::new(clock),
        http: Arc::new(Nowhere),
        process: Arc::new(Nowhere),
        ansible: Arc::new(Nowhere),
        inventory: Arc::new(Nowhere),
        linux: Arc::new(NoHosts),
        aws: None,
    }
}

#[async_trait]
impl Http for Nowhere {
    async fn request(&self, request: Request) -> Result<u16, Hindrance> {
        panic!("{} {} was not to be sent", request.method, request.url)
    }

    async fn connect(&self, host: &str, port: u16, _timeout: Duration) -> Result<(), Hindrance> {
        panic!("{host}:{port} was not to be connected to")
    }
}

#[async_trait]
impl Process for Nowhere {
    async fn start(&self, program: Program) -> Result<(), Hindrance> {
        panic!("{:?} was not to be started", program.command)
    }

    async fn progress(&self, token: &str) -> Result<Progress, String> {
        panic!("the program {token} was not to be asked for")
    }

    async fn kill(&self, token: &str) -> Result<(), String> {
        panic!("the program {token} was not to be killed")
    }

    async fn forget(&self, token: &str) -> Result<(), String> {
        panic!("the program {token} was not to be forgotten")
    }
}

#[async_trait]
impl Ansible for Nowhere {
    async fn start(&self, play: Play) -> Result<(), Hindrance> {
        panic!("{} was not to be started", play.playbook)
    }

    async fn told(&self, token: &str) -> Result<Told, String> {
        panic!("the playbook {token} was not to be asked for")
    }

    async fn forget(&self, token: &str) -> Result<(), String> {
        panic!("the playbook {token} was not to be forgotten")
    }
}

#[async_trait]
impl Inventory for Nowhere {
    async fn resolve(&self, group: &GroupName, _query: &TargetQuery) -> Result<Vec<Target>, Fault> {
        panic!("the group {group} was not to be resolved")
    }

    async fn inspect(&self, _targets: &[Target]) -> Result<BTreeMap<TargetId, String>, Fault> {
        panic!("no machine was to be inspected")
    }
}
