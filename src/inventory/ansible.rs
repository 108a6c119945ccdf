//! What `ansible-inventory --list` prints, and dynamic inventory scripts: groups by name, each with `hosts`, `children` and
//! `vars`; `_meta.hostvars` holds what Ansible knows of each host, group variables and all (Ansible's documentation,
//! "Developing dynamic inventory"; seen with ansible-core 2.19).

use std::collections::{BTreeMap, BTreeSet};

use runbook_engine::{
    connection::{Connection, Sudo},
    inventory::{ListedGroup, ListedHost, Listing, Traits, may_be_secret},
};
use serde_json::{Map, Value};

use super::{asking::Told, ssh_arguments, template};

/// What of a host's variables says where and as whom it is reached: the present name, and the one before Ansible 2.0.
const ADDRESS: [&str; 2] = ["ansible_host", "ansible_ssh_host"];
const PORT: [&str; 2] = ["ansible_port", "ansible_ssh_port"];
const USER: [&str; 2] = ["ansible_user", "ansible_ssh_user"];
const IDENTITY: [&str; 2] = ["ansible_ssh_private_key_file", "ansible_private_key_file"];
const ARGUMENTS: [&str; 3] = ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"];
const BY: [&str; 1] = ["ansible_connection"];

/// Whoever does not know these reaches another host, or none.
const WAYS: [&[&str]; 4] = [&ADDRESS, &PORT, &ARGUMENTS, &BY];

/// Groups that Ansible makes itself.
const OWN_GROUPS: [&str; 2] = ["all", "ungrouped"];

/// Whether JSON has the shape of Ansible's, and not of inventory files.
pub(super) fn is_like(value: &Value) -> bool {
    let Some(map) = value.as_object() else { return false };
    map.contains_key("_meta")
        || !["hosts", "groups"].iter().any(|key| map.get(*key).is_some_and(Value::is_object))
}

/// The hosts that it tells.
///
/// # Errors
/// What it is instead.
pub(super) fn told(value: &Value) -> Result<Told, String> {
    let map = value.as_object().ok_or("no JSON object")?;
    let mut told = Told::default();
    let mut notes = Notes::default();
    let mut lost = Vec::new();
    for (name, body) in map.iter().filter(|(name, _)| *name != "_meta") {
        let (group, unfit) =
            group(name, body, &mut notes).ok_or_else(|| format!("a group `{name}` that is none"))?;
        lost.extend(unfit.map(|unfit| (name.clone(), unfit)));
        for host in &group.hosts {
            told.listing.hosts.entry(host.clone()).or_default();
        }
        if OWN_GROUPS.contains(&name.as_str()) {
            // Its variables hold for all hosts; `ansible-inventory` has given them to each host already.
            if name == "all" {
                told.listing.all = group.traits;
            }
        } else {
            told.listing.groups.insert(name.clone(), group);
        }
    }
    // A script may name a child without telling more of it.
    let children: Vec<String> =
        told.listing.groups.values().flat_map(|group| group.children.iter().cloned()).collect();
    for child in children {
        told.listing.groups.entry(child).or_default();
    }
    let hostvars = map.get("_meta").and_then(|meta| meta.get("hostvars")).and_then(Value::as_object);
    for (name, vars) in hostvars.into_iter().flatten() {
        let vars = vars.as_object().cloned().unwrap_or_default();
        told.listing.hosts.insert(name.clone(), host(name, vars, &mut notes));
    }
    // A program need not have given the variables of groups to each host.
    for (group, unfit) in lost {
        for name in members(&told.listing, &group) {
            let own = hostvars.and_then(|hosts| hosts.get(&name)).and_then(Value::as_object);
            let says = |var: &&str| own.is_some_and(|vars| vars.contains_key(*var));
            if !unfit.of.iter().any(says)
                && let Some(host) = told.listing.hosts.get_mut(&name)
            {
                host.unfit.get_or_insert_with(|| unfit.why.clone());
            }
        }
    }
    told.notes = notes.told();
    Ok(told)
}

/// The hosts of a group and of its children.
fn members(listing: &Listing, group: &str) -> BTreeSet<String> {
    if OWN_GROUPS[0] == group {
        return listing.hosts.keys().cloned().collect();
    }
    let (mut seen, mut open) = (BTreeSet::new(), vec![group]);
    let mut hosts = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(group) = listing.groups.get(name).filter(|_| seen.insert(name)) {
            hosts.extend(group.hosts.iter().cloned());
            open.extend(group.children.iter().map(String::as_str));
        }
    }
    hosts
}

/// Why a host cannot be reached as Ansible reaches it.
#[derive(Debug)]
struct Unfit {
    /// The variables that say how: whoever has one of these of his own is not concerned by a group's.
    of: &'static [&'static str],
    why: String,
}

fn group(name: &str, body: &Value, notes: &mut Notes) -> Option<(ListedGroup, Option<Unfit>)> {
    let names = |value: Option<&Value>| -> Option<_> {
        let Some(value) = value else { return Some(Default::default()) };
        value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    if body.is_array() {
        return Some((ListedGroup { hosts: names(Some(body))?, ..ListedGroup::default() }, None));
    }
    let map = body.as_object()?;
    let vars = map.get("vars").and_then(Value::as_object).cloned().unwrap_or_default();
    // What a template comes to is another thing for each host.
    let templates = vars
        .iter()
        .filter(|(name, value)| is_ours(name) && value.as_str().is_some_and(template::is_template));
    let templates: Vec<String> = templates.map(|(name, _)| name.clone()).collect();
    let plain = vars.iter().filter(|(name, _)| !templates.contains(name));
    let plain = plain.map(|(name, value)| (name.clone(), value.clone())).collect();
    let subject = format!("group {name}");
    for var in &templates {
        notes.add(&not_filled(var), &subject);
    }
    let (connection, unfit) = connection(&plain, notes, &subject);
    let group = ListedGroup {
        hosts: names(map.get("hosts"))?,
        children: names(map.get("children"))?,
        traits: Traits { vars: others(plain), connection, ..Traits::default() },
    };
    Some((group, lost(&templates).or(unfit)))
}

fn not_filled(var: &str) -> String {
    format!("`{var}` is a template that only Ansible can fill in, and was not taken over")
}

/// A way to a host that is a template which only Ansible can fill in.
fn lost(unfilled: &[String]) -> Option<Unfit> {
    WAYS.into_iter().find_map(|of| {
        let var = unfilled.iter().find(|var| of.contains(&var.as_str()))?;
        Some(Unfit { of, why: format!("`{var}` is a template that only Ansible can fill in") })
    })
}

fn host(name: &str, vars: Map<String, Value>, notes: &mut Notes) -> ListedHost {
    let (vars, unfilled) = filled(name, vars);
    for var in &unfilled {
        notes.add(&not_filled(var), name);
    }
    let (connection, unfit) = connection(&vars, notes, name);
    let address = text(&vars, &ADDRESS);
    let unfit = lost(&unfilled).or(unfit).map(|unfit| unfit.why);
    ListedHost { address, unfit, traits: Traits { vars: others(vars), connection, ..Traits::default() } }
}

/// The variables with their templates filled in, and the names of those where that cannot be done: they are left out.
fn filled(host: &str, vars: Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
    let mut unfilled = Vec::new();
    let kept = vars.iter().filter_map(|(name, value)| {
        let text = value.as_str().filter(|text| template::is_template(text));
        // What may be a secret is left out later, and said so.
        let Some(text) = text.filter(|_| !may_be_secret(name) || is_ours(name)) else {
            return Some((name.clone(), value.clone()));
        };
        let filled = template::filled(text, host, &vars);
        if filled.is_none() && (!name.starts_with("ansible_") || is_ours(name)) {
            unfilled.push(name.clone());
        }
        Some((name.clone(), Value::String(filled?)))
    });
    (kept.collect(), unfilled)
}

/// Whether a variable of Ansible's own says something that a connection says too.
fn is_ours(name: &str) -> bool {
    let known: [&[&str]; 3] = [&USER, &IDENTITY, &["ansible_become"]];
    WAYS.iter().chain(&known).any(|names| names.contains(&name))
}

/// Everything that Ansible does not keep for itself. Its own secrets stay in, to be left out with all others, and named.
fn others(vars: Map<String, Value>) -> BTreeMap<String, Value> {
    vars.into_iter()
        .filter(|(name, _)| !name.starts_with("ansible_") || may_be_secret(name))
        .filter(|(name, _)| {
            // Paths of keys sound like secrets and are none: they are taken over as `identity`.
            !IDENTITY.contains(&name.as_str())
        })
        .collect()
}

/// How Ansible reaches a host, and why this program cannot.
fn connection(vars: &Map<String, Value>, notes: &mut Notes, host: &str) -> (Connection, Option<Unfit>) {
    let port = text(vars, &PORT);
    let mut connection = Connection {
        port: port.as_deref().and_then(|port| port.parse().ok()),
        user: text(vars, &USER),
        identity: text(vars, &IDENTITY),
        ..Connection::default()
    };
    if flag(vars, "ansible_become") == Some(true) {
        let method = text(vars, &["ansible_become_method"]);
        if method.as_deref().is_none_or(|method| method == "sudo") {
            connection.sudo = Some(Sudo::Passwordless);
        } else {
            notes.add("`ansible_become_method` is not `sudo` and was not taken over", host);
        }
        if text(vars, &["ansible_become_user"]).is_some_and(|user| user != "root") {
            notes.add("`ansible_become_user` is not `root` and was not taken over", host);
        }
        if vars.keys().any(|name| name.starts_with("ansible_become_pass") || name == "ansible_sudo_pass") {
            notes.add(
                "Ansible knows a password for sudo: name the secret that holds it as `sudo_password` of a `connection`",
                host,
            );
        }
    }
    let mut unfit = port
        .filter(|_| connection.port.is_none())
        .map(|port| Unfit { of: &PORT, why: format!("its port `{}` is none", port.escape_debug()) });
    for name in ARGUMENTS {
        let Some(arguments) = text(vars, &[name]) else { continue };
        let understood = ssh_arguments::read(&arguments);
        if !understood.jump.is_empty() {
            connection.jump = understood.jump;
        }
        connection.config = connection.config.or(understood.config);
        connection.port = connection.port.or(understood.port);
        if understood.unchecked_keys {
            notes.add("host keys are always checked, whatever the arguments for ssh say", host);
        }
        if understood.others {
            // What they are is not told: a password may be among them.
            notes.add(&format!("some of `{name}` was not taken over"), host);
        }
        if understood.elsewhere {
            let why = format!("`{name}` says how it is reached, and what it says cannot be taken over");
            unfit.get_or_insert(Unfit { of: &ARGUMENTS, why });
        }
    }
    let other = text(vars, &BY)
        .filter(|by| {
            !matches!(by.as_str(), "ssh" | "smart" | "paramiko" | "paramiko_ssh" | "ansible.builtin.ssh")
        })
        .map(|by| Unfit { of: &BY, why: format!("Ansible reaches it by `{by}`, and not by ssh") });
    (connection, other.or(unfit))
}

fn text(vars: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let value = names.iter().find_map(|name| vars.get(*name))?;
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Ansible's truth values: INI inventories tell them as text.
fn flag(vars: &Map<String, Value>, name: &str) -> Option<bool> {
    match vars.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => {
            Some(matches!(text.to_lowercase().as_str(), "true" | "yes" | "on" | "1" | "y" | "t"))
        }
        Value::Number(number) => Some(number.as_i64() == Some(1)),
        _ => None,
    }
}

/// Notes, each with the hosts that it is about.
#[derive(Default)]
struct Notes(BTreeMap<String, Vec<String>>);

impl Notes {
    fn add(&mut self, note: &str, host: &str) {
        self.0.entry(note.to_owned()).or_default().push(host.to_owned());
    }

    fn told(self) -> Vec<String> {
        let told = self.0.into_iter().map(|(note, hosts)| match &hosts[..] {
            [host] => format!("{note} ({host})"),
            [first, ..] => format!("{note} ({first} and {} more)", hosts.len() - 1),
            [] => note,
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use runbook_engine::{connection::Sudo, inventory::Register};
    use serde_json::json;

    use super::{is_like, told};

    #[test]
    fn what_ansible_says_of_a_host_is_its_connection_and_its_variables() {
        let told = told(&json!({
            "_meta": { "hostvars": {
                "web1": {
                    "ansible_host": "10.0.0.1", "ansible_port": 2222, "ansible_user": "deploy",
                    "ansible_ssh_private_key_file": "~/.ssh/fleet", "ansible_become": "true",
                    "ansible_become_password": "hunter2", "ansible_python_interpreter": "/usr/bin/python3",
                    "ansible_ssh_common_args": "-o ProxyJump=ops@bastion.example -o StrictHostKeyChecking=no",
                    "rack": "b2", "smtp_password": { "__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n3133" }
                },
                "localhost": { "ansible_connection": "local" }
            } },
            "all": { "children": ["ungrouped", "web"] },
            "ungrouped": { "hosts": ["localhost"] },
            "web": { "hosts": ["web1"] }
        }))
        .unwrap();
        let register = Register::of(&told.listing).unwrap();
        let host = &register.hosts["web1"];
        assert_eq!(host.address, "10.0.0.1");
        let connection = &host.connection;
        assert_eq!((connection.port, connection.user.as_deref()), (Some(2222), Some("deploy")));
        assert_eq!(connection.identity.as_deref(), Some("~/.ssh/fleet"));
        assert_eq!(
            (connection.sudo, &connection.jump[..]),
            (Some(Sudo::Passwordless), &["ops@bastion.example".into()][..])
        );
        assert_eq!(host.vars.keys().collect::<Vec<_>>(), ["rack"]);
        assert_eq!(
            register.withheld.keys().collect::<Vec<_>>(),
            ["ansible_become_password", "smtp_password"]
        );
        assert!(register.select(Some("localhost")).unwrap_err().to_string().contains("`local`"));
        assert_eq!(register.select(Some("web")).unwrap().len(), 1);
        assert!(
            told.notes.iter().any(|note| note.contains("sudo_password") && note.contains("web1")),
            "{:?}",
            told.notes
        );
        assert!(!format!("{:?} {register:?}", told.notes).contains("hunter2"));
    }

    #[test]
    fn templates_are_filled_in_or_left_out() {
        let told = told(&json!({
            "_meta": { "hostvars": {
                "web1": { "short": "w1", "ansible_host": "{{ short }}.example.com", "ansible_user": "{{ lookup('env', 'USER') }}" },
                "web2": { "ansible_host": "{{ groups['web'][0] }}", "rack": "{{ x | upper }}" }
            } },
            "web": { "hosts": ["web1", "web2"] }
        }))
        .unwrap();
        let register = Register::of(&told.listing).unwrap();
        let web1 = &register.hosts["web1"];
        assert_eq!((web1.address.as_str(), &web1.connection.user), ("w1.example.com", &None));
        assert!(
            register.select(Some("web2")).unwrap_err().to_string().contains("`ansible_host` is a template")
        );
        assert!(register.hosts["web2"].vars.is_empty());
        assert_eq!(told.notes.len(), 3, "{:?}", told.notes);
    }

    /// What would be reached without them is another host: a gateway, or this machine.
    #[test]
    fn a_way_to_a_host_that_is_not_understood_makes_it_unfit() {
        let told = told(&json!({
            "_meta": { "hostvars": {
                "web1": { "base": 2200, "ansible_host": "gw", "ansible_port": "{{ base + 1 }}" },
                "web2": { "ansible_host": "gw", "ansible_port": "many" },
                "web3": { "ansible_host": "gw", "ansible_ssh_common_args": "{{ args }}" },
                "web4": { "ansible_host": "gw", "ansible_ssh_extra_args": "-o ProxyCommand='nc -X 5 %h %p'" },
                "web5": { "ansible_host": "gw", "ansible_ssh_args": "-o ProxyCommand='nc -X 5 %h %p'" },
                "web6": { "ansible_host": "gw", "ansible_connection": "{{ way }}" },
                "fine": {
                    "base": 2200, "ansible_host": "gw", "ansible_port": "{{ base }}",
                    "ansible_ssh_common_args": "-o Ciphers=x", "keys": "/keys",
                    "ansible_ssh_private_key_file": "{{ keys }}/id"
                },
                "own": { "ansible_port": 2222 }
            } },
            "behind": {
                "hosts": ["g1", "own"], "children": ["inner"],
                "vars": { "ansible_port": "{{ 2200 + n }}", "ansible_become": true, "ansible_become_method": "doas" }
            },
            "inner": ["g2"]
        }))
        .unwrap();
        let register = Register::of(&told.listing).unwrap();
        let unfit = register.unfit.iter().map(|(host, why)| format!("{host}: {why}\n")).collect::<String>();
        insta::assert_snapshot!(unfit, @r"
        g1: `ansible_port` is a template that only Ansible can fill in
        g2: `ansible_port` is a template that only Ansible can fill in
        web1: `ansible_port` is a template that only Ansible can fill in
        web2: its port `many` is none
        web3: `ansible_ssh_common_args` is a template that only Ansible can fill in
        web4: `ansible_ssh_extra_args` says how it is reached, and what it says cannot be taken over
        web5: `ansible_ssh_args` says how it is reached, and what it says cannot be taken over
        web6: `ansible_connection` is a template that only Ansible can fill in
        ");
        assert_eq!(register.hosts["fine"].connection.port, Some(2200));
        assert!(
            told.notes.iter().any(|note| note.contains("doas") || note.contains("`ansible_become_method`"))
        );
        assert!(told.notes.iter().any(|note| note.ends_with("(group behind)")), "{:?}", told.notes);
    }

    #[test]
    fn the_shapes_are_told_apart() {
        assert!(is_like(&json!({ "_meta": {}, "hosts": { "hosts": [] } })));
        assert!(is_like(&json!({ "web": ["a", "b"] })));
        assert!(!is_like(&json!({ "hosts": { "web1": {} } })));
        let told = told(&json!({ "web": ["a", "b"], "prod": { "children": ["web", "db"] } })).unwrap();
        assert_eq!(told.listing.hosts.len(), 2);
        assert!(told.listing.groups.contains_key("db"));
        assert!(super::told(&json!({ "web": 5 })).is_err());
    }
}
