//! What Ansible is told, of the inputs of a step.

use std::{collections::BTreeMap, sync::Arc};

use runbook_engine::target::{Home, Target};
use serde_json::{Map, Value};

use super::{inventory, playbook::PROGRAM};
use crate::{
    action::Inputs,
    ports::ansible::{Described, Place, Play},
};

/// Ansible forks a process for each machine at work, of some 60 MB each.
const FORKS: usize = 25;

/// Where a host of our own is to be.
fn place(machine: &Target) -> Option<(String, Place)> {
    let Home::Host { address, connection } = &machine.home else { return None };
    let place = Place { address: address.clone(), port: connection.port };
    Some((machine.id.to_string(), place))
}

/// Machines that share their inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Invocation<'a> {
    pub machines: &'a [Arc<Target>],
    pub inputs: &'a Inputs,
}

impl Invocation<'_> {
    /// The play, with this environment.
    ///
    /// # Errors
    /// What is wrong with the inputs, as one lower-case sentence.
    pub fn play(self, token: &str, env: BTreeMap<String, String>) -> Result<Play, String> {
        let inputs = self.inputs;
        let sources = inputs.texts("inventory");
        let inventory = if sources.is_empty() {
            self.passwords_are_given(&env)?;
            Described::Here(inventory::of(self.machines.iter().map(AsRef::as_ref)))
        } else {
            Described::Sources(sources)
        };
        let places = match &inventory {
            Described::Sources(_) => self.machines.iter().filter_map(|machine| place(machine)).collect(),
            Described::Here(_) => BTreeMap::new(),
        };
        let vars = match inputs.values.get("vars") {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(vars @ Value::Object(_)) => vars.clone(),
            Some(_) => return Err("the input `vars` must be values by name".to_owned()),
        };
        let playbook = inputs.text("playbook").ok_or("the input `playbook` is missing or is no text")?;
        Ok(Play {
            token: token.to_owned(),
            program: inputs.text("program").unwrap_or(PROGRAM).to_owned(),
            playbook: playbook.to_owned(),
            hosts: self.machines.iter().map(|machine| machine.id.to_string()).collect(),
            inventory,
            places,
            vars,
            tags: inputs.texts("tags"),
            skip_tags: inputs.texts("skip_tags"),
            forks: inputs.integer("forks").unwrap_or(self.machines.len().min(FORKS) as u64).max(1),
            check: self.flag("check"),
            env,
        })
    }

    /// A host's password for sudo is known by the name of a secret, which only `env` may hold.
    fn passwords_are_given(self, env: &BTreeMap<String, String>) -> Result<(), String> {
        for machine in self.machines {
            let Home::Host { connection, .. } = &machine.home else { continue };
            if let Some(name) = inventory::password(connection).filter(|name| !env.contains_key(*name)) {
                return Err(format!(
                    "{} wants a password for sudo: add `env: {{ {name}: \"{{{{ secret('{name}') }}}}\" }}`",
                    machine.name
                ));
            }
        }
        Ok(())
    }

    /// Whether this input is true.
    pub fn flag(self, key: &str) -> bool {
        self.inputs.values.get(key).is_some_and(|value| value.as_bool().unwrap_or(value == "true"))
    }
}
