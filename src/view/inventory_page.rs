//! Hosts, for a person and for a program.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::TargetId,
    target::{Home, Target},
};
use serde_json::{Value, json};

use super::{
    columns::columns,
    paint::Paint,
    words::{count, moment},
};
use crate::inventory::gather::Gathered;

/// Machines and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    /// By id.
    pub machines: BTreeMap<TargetId, Target>,
    /// The groups of each machine.
    pub groups: BTreeMap<TargetId, Vec<String>>,
    /// Variables that were left out because they may hold a secret, with the number of hosts that have them.
    pub withheld: BTreeMap<String, usize>,
    /// What else was not taken over.
    pub notes: Vec<String>,
    /// What the hosts said, if they were asked.
    pub gathered: Option<BTreeMap<TargetId, Result<Gathered, String>>>,
}

impl Roll {
    /// How many hosts were asked and gave no answer.
    pub fn silent(&self) -> usize {
        self.gathered.iter().flat_map(BTreeMap::values).filter(|answer| answer.is_err()).count()
    }

    /// For a program.
    pub fn to_json(&self) -> Value {
        let hosts: Vec<Value> = self
            .machines
            .values()
            .map(|target| {
                let mut host = json!({
                    "id": target.id,
                    "name": target.name,
                    "address": address(target),
                    "groups": self.groups_of(&target.id),
                    "environment": target.environment,
                    "owner": target.owner,
                    "platform": target.platform,
                    "vars": target.vars,
                });
                if let Home::Host { connection, .. } = &target.home {
                    host["connection"] = json!(connection);
                }
                if let Some(answer) = self.gathered.as_ref().and_then(|gathered| gathered.get(&target.id)) {
                    host["facts"] = answer.as_ref().map_or(Value::Null, facts);
                    host["error"] = json!(answer.as_ref().err());
                }
                host
            })
            .collect();
        let mut groups: BTreeMap<&str, Vec<&TargetId>> = BTreeMap::new();
        for (id, names) in &self.groups {
            for name in names {
                groups.entry(name).or_default().push(id);
            }
        }
        json!({ "hosts": hosts, "groups": groups, "withheld": self.withheld, "notes": self.notes })
    }

    /// For a person.
    pub fn page(&self, paint: Paint) -> String {
        let mut head = vec!["host", "address", "environment", "owner", "groups"];
        if self.gathered.is_some() {
            head.extend(["system", "kernel", "pending", "reboot", "last patched"]);
        }
        let mut lines = vec![head.iter().map(|word| paint.dim(word)).collect::<Vec<_>>()];
        for target in self.machines.values() {
            let mut line = vec![
                paint.bold(&target.name),
                address(target),
                target.environment.clone().unwrap_or_default(),
                target.owner.clone().unwrap_or_default(),
                self.groups_of(&target.id).join(" "),
            ];
            match self.gathered.as_ref().and_then(|gathered| gathered.get(&target.id)) {
                Some(Ok(answer)) => line.extend(columns_of(answer, paint)),
                // A cause is longer than a column should be.
                Some(Err(_)) => line.push(paint.red("no answer")),
                None => {}
            }
            lines.push(line);
        }
        let mut text = columns(&lines, "");
        text.push_str(&format!("\n{}\n", count(self.machines.len(), "host")));
        text.push_str(&self.silence(paint));
        for (var, hosts) in &self.withheld {
            let of = count(*hosts, "host");
            text.push_str(&format!("left out, as it may hold a secret: variable `{var}` of {of}\n"));
        }
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        text
    }

    /// Who was asked and gave no answer, with the cause: a line for each.
    pub fn silence(&self, paint: Paint) -> String {
        let asked = self.gathered.iter().flatten();
        let silent = asked.filter_map(|(id, answer)| Some((id, answer.as_ref().err()?)));
        silent.map(|(id, cause)| format!("{}: {cause}\n", paint.red(id.as_str()))).collect()
    }

    /// The groups of a machine.
    pub fn groups_of(&self, id: &TargetId) -> &[String] {
        self.groups.get(id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Where it is reached: the host's address with its port where that is said, the private address of an instance.
fn address(target: &Target) -> String {
    match &target.home {
        Home::Host { address, connection } => match connection.port {
            Some(port) if address.contains(':') => format!("[{address}]:{port}"),
            Some(port) => format!("{address}:{port}"),
            None => address.clone(),
        },
        Home::Aws { .. } => target.private_ip.clone().unwrap_or_default(),
    }
}

fn columns_of(answer: &Gathered, paint: Paint) -> Vec<String> {
    let facts = &answer.facts;
    let pending = match (answer.pending(), answer.security()) {
        (0, _) => "none".to_owned(),
        (all, 0) => all.to_string(),
        (all, security) => paint.yellow(&format!("{all} ({security} security)")),
    };
    let reboot = if facts.reboot_needed.is_empty() { String::new() } else { paint.yellow("needed") };
    let last = facts.last_patched.map_or_else(|| "not known".to_owned(), moment);
    vec![facts.os_name.clone(), facts.kernel.clone(), pending, reboot, last]
}

fn facts(answer: &Gathered) -> Value {
    let facts = &answer.facts;
    json!({
        "os": facts.os_name,
        "platform": facts.platform(),
        "kernel": facts.kernel,
        "package_manager": facts.manager.as_str(),
        "pending": answer.pending(),
        "pending_security": answer.security(),
        "reboot_needed": facts.reboot_needed,
        "last_patched": facts.last_patched,
    })
}
