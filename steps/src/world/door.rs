//! The world's door: what an attempt holds in its hands. The ports themselves are in the files beside this one.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::target::Home;

use super::{World, fault_rule::Label};
use crate::ports::{AwsFactory, Ports, clock::Clock, fleet::Fleet, ssm::Ssm};

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
            inventory: Arc::clone(&door) as _,
            aws: Some(door as Arc<dyn AwsFactory>),
        }
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
    // All accounts and Regions are one world: a machine's id is enough to find it.
    fn ssm(&self, _home: &Home) -> Arc<dyn Ssm> {
        Arc::new(self.clone())
    }

    fn fleet(&self, _home: &Home) -> Option<Arc<dyn Fleet>> {
        Some(Arc::new(self.clone()))
    }
}
