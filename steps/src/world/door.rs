//! The world's door: what an attempt holds in its hands. The ports themselves are in the files beside this one.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::target::Home;

use super::{World, account::Account, fault_rule::Label};
use crate::ports::{AwsFactory, Ports, backup::Backup, clock::Clock, ec2::Ec2, ssm::Ssm};

/// The world, as one attempt of one task sees it.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub world: Arc<World>,
    pub label: Option<Label>,
}

impl Door {
    pub fn ports(world: &Arc<World>, label: Option<Label>) -> Ports {
        let door = Arc::new(Self { world: Arc::clone(world), label });
        Ports {
            clock: Arc::clone(&door) as Arc<dyn Clock>,
            http: Arc::clone(&door) as _,
            process: Arc::clone(&door) as _,
            ansible: Arc::clone(&door) as _,
            inventory: Arc::clone(&door) as _,
            linux: Arc::clone(&door) as _,
            aws: Some(door as Arc<dyn AwsFactory>),
        }
    }

    fn account(&self, home: &Home) -> Account {
        Account::of_home(&self.world, self.label.clone(), home)
    }

    pub fn label(&self) -> Option<&Label> {
        self.label.as_ref()
    }
}

#[async_trait]
impl Clock for Door {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    async fn sleep(&self, time: Duration) {
        self.world.sleep(time).await;
    }
}

impl AwsFactory for Door {
    fn ssm(&self, home: &Home) -> Arc<dyn Ssm> {
        Arc::new(self.account(home))
    }

    fn ec2(&self, home: &Home) -> Arc<dyn Ec2> {
        Arc::new(self.account(home))
    }

    fn backup(&self, home: &Home) -> Arc<dyn Backup> {
        Arc::new(self.account(home))
    }
}
