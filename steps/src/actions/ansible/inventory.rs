//! An inventory for Ansible, made of the machines of a wave.

use std::collections::{BTreeMap, BTreeSet};

use runbook_engine::{
    connection::{Connection, Sudo},
    target::{Home, Target},
};
use serde_json::{Map, Value, json};

/// The machines under their own names, in their groups: how each is reached, and its variables, which go before that.
/// Passwords are not in it: what Ansible needs for sudo it takes from its own environment.
pub(super) fn of<'a>(machines: impl IntoIterator<Item = &'a Target>) -> Value {
    let machines: Vec<&Target> = machines.into_iter().collect();
    let names: BTreeSet<&str> = machines.iter().map(|machine| machine.id.as_str()).collect();
    let mut groups: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for machine in &machines {
        let mut vars = reached(machine);
        vars.extend(machine.vars.clone());
        groups
            .entry(group(machine.group.as_str(), &names))
            .or_default()
            .insert(machine.id.to_string(), vars.into());
    }
    let children: Map<String, Value> =
        groups.into_iter().map(|(name, hosts)| (name, json!({ "hosts": hosts }))).collect();
    json!({ "all": { "children": children } })
}

/// Ansible's groups are named like variables; `all` and `ungrouped` are its own. One that is called like a host would let
/// `--limit` mean all of it.
fn group(name: &str, hosts: &BTreeSet<&str>) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let taken = plain == "all" || plain == "ungrouped" || hosts.contains(plain.as_str());
    if taken { format!("group_{plain}") } else { plain }
}

fn reached(machine: &Target) -> Map<String, Value> {
    let mut vars = Map::new();
    let mut set = |name: &str, value: Value| vars.insert(name.to_owned(), value);
    match &machine.home {
        Home::Aws { .. } => {
            if let Some(address) = &machine.private_ip {
                set("ansible_host", json!(address));
            }
        }
        Home::Host { address, connection } => {
            set("ansible_host", json!(address));
            if let Some(port) = connection.port {
                set("ansible_port", json!(port));
            }
            if let Some(user) = &connection.user {
                set("ansible_user", json!(user));
            }
            if let Some(identity) = &connection.identity {
                set("ansible_ssh_private_key_file", json!(identity));
            }
            let arguments = arguments(connection);
            if !arguments.is_empty() {
                set("ansible_ssh_common_args", json!(arguments));
            }
            if let Some(name) = password(connection) {
                let lookup = format!("{{{{ lookup('ansible.builtin.env', '{name}') }}}}");
                set("ansible_become_password", json!(lookup));
            }
        }
    }
    vars
}

/// The variable of Ansible's environment that holds the password for sudo, by the name of the secret.
pub(super) fn password(connection: &Connection) -> Option<&str> {
    connection
        .sudo_password
        .as_deref()
        .filter(|_| !matches!(connection.sudo, Some(Sudo::None | Sudo::Passwordless)))
}

/// What ssh is told besides; Ansible splits it like a shell.
fn arguments(connection: &Connection) -> String {
    let mut arguments = Vec::new();
    if let Some(config) = &connection.config {
        arguments.push(format!("-F {}", quoted(config)));
    }
    if !connection.jump.is_empty() {
        arguments.push(format!("-J {}", quoted(&connection.jump.join(","))));
    }
    arguments.join(" ")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use runbook_engine::{
        connection::{Connection, Sudo},
        ids::GroupName,
        target::{HostEntry, Target},
    };
    use serde_json::json;

    use super::of;

    fn host(name: &str, connection: Connection) -> Target {
        let vars = BTreeMap::from([("role".to_owned(), json!("web"))]);
        let entry = HostEntry { address: "10.0.0.5".to_owned(), vars, connection, ..HostEntry::default() };
        entry.into_target(name, "linux", &GroupName::from("web-servers"))
    }

    #[test]
    fn hosts_have_their_names_groups_connections_and_variables() {
        let connection = Connection {
            port: Some(2222),
            user: Some("ops".into()),
            identity: Some("/keys/it's".into()),
            config: Some("/etc/ssh cfg".into()),
            jump: vec!["a".into(), "b:2".into()],
            sudo: Some(Sudo::Password),
            sudo_password: Some("SUDO_PW".into()),
        };
        let made = of([&host("web-1", connection), &host("web-2", Connection::default())]);
        assert_eq!(
            made,
            json!({ "all": { "children": { "web_servers": { "hosts": {
                "web-1": {
                    "ansible_host": "10.0.0.5",
                    "ansible_port": 2222,
                    "ansible_user": "ops",
                    "ansible_ssh_private_key_file": "/keys/it's",
                    "ansible_ssh_common_args": "-F '/etc/ssh cfg' -J 'a,b:2'",
                    "ansible_become_password": "{{ lookup('ansible.builtin.env', 'SUDO_PW') }}",
                    "role": "web",
                },
                "web-2": { "ansible_host": "10.0.0.5", "role": "web" },
            } } } } })
        );
    }

    #[test]
    fn a_group_that_is_called_like_a_host_has_another_name() {
        let mut target = host("web", Connection::default());
        target.group = GroupName::from("web");
        assert!(of([&target])["all"]["children"]["group_web"]["hosts"]["web"].is_object());
    }

    #[test]
    fn a_variable_of_the_host_goes_before_its_connection() {
        let mut target = host("web-1", Connection { port: Some(22), ..Connection::default() });
        target.vars.insert("ansible_port".to_owned(), json!(2200));
        assert_eq!(of([&target])["all"]["children"]["web_servers"]["hosts"]["web-1"]["ansible_port"], 2200);
    }
}
