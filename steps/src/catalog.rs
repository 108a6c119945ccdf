//! Which actions there are.

use std::{collections::BTreeMap, sync::Arc};

use runbook_engine::catalog::{ActionDoc, Catalog, WayBack, WayBackAsked, gates};

use crate::{
    action::Action,
    actions::{ansible, aws, check, linux, local, notify},
};

/// The actions by name, and the gates, which the core itself runs.
#[derive(Clone)]
pub struct Actions {
    docs: BTreeMap<&'static str, ActionDoc>,
    actions: BTreeMap<&'static str, Arc<dyn Action>>,
}

impl Actions {
    /// Everything that a runbook may use.
    pub fn standard() -> Self {
        let mut actions = Self { docs: BTreeMap::new(), actions: BTreeMap::new() };
        for doc in gates() {
            actions.docs.insert(doc.name, doc);
        }
        actions
            .with(ansible::playbook::Playbook::default())
            .with(aws::backup::Backup::default())
            .with(aws::command::Command::default())
            .with(aws::compliance::Compliance::default())
            .with(aws::patch::Patch::default())
            .with(aws::reboot::Reboot::default())
            .with(aws::restore::Restore::default())
            .with(aws::snapshot::Snapshot::default())
            .with(check::command::Command::default())
            .with(check::http::Http::default())
            .with(check::log::Log::default())
            .with(check::tcp::Tcp::default())
            .with(linux::backup::Backup::default())
            .with(linux::compliance::Compliance::default())
            .with(linux::file::File::default())
            .with(linux::patch::Patch::default())
            .with(linux::policy::Evaluate::default())
            .with(linux::reboot::Reboot::default())
            .with(linux::restore::Restore::default())
            .with(linux::script::Script::default())
            .with(linux::service::Service::default())
            .with(local::command::Command::default())
            .with(notify::webhook::Webhook::default())
    }

    /// The same with one more action (or with another one in place of its namesake).
    #[must_use]
    pub fn with(mut self, action: impl Action + 'static) -> Self {
        let doc = action.doc().clone();
        self.actions.insert(doc.name, Arc::new(action));
        self.docs.insert(doc.name, doc);
        self
    }

    /// The action of this name; gates are none.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Action>> {
        self.actions.get(name).cloned()
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::standard()
    }
}

impl Catalog for Actions {
    fn action(&self, name: &str) -> Option<&ActionDoc> {
        self.docs.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.docs.keys().copied().collect()
    }

    fn way_back(&self, asked: &WayBackAsked<'_>) -> Option<Result<WayBack, String>> {
        match asked.action {
            "aws/restore" => aws::restore::way_back(asked),
            "linux/restore" => linux::restore::way_back(asked),
            _ => None,
        }
    }
}
