//! Inventory files: what holds for each host, which hosts a pattern chooses, and what is refused.

use proptest::{collection::vec, prelude::proptest, sample::select};
use runbook_engine::{
    connection::Sudo,
    diagnostic::render,
    document::{is_inventory, read_inventory},
    inventory::{From, Pattern, Register},
};

const SHOP: &str = "
inventory: shop
owner: platform
connection: { user: deploy, sudo: password, sudo_password: FLEET_SUDO }
vars: { ntp: a, tier: none }
groups:
  production: { environment: production, children: [web, db], vars: { tier: some } }
  web:
    hosts:
      web1: { address: 10.0.0.1 }
      web2: { address: 10.0.0.2, vars: { tier: own, api_key: s3cret } }
    children: [canary]
    connection: { port: 2222 }
    vars: { tier: front }
  canary: { hosts: [web3], owner: early-birds }
  db: { hosts: [db1], connection: { sudo: passwordless } }
hosts:
  web3: { address: 10.0.0.3, connection: { user: root, sudo: none } }
  db1:
  lonely.example.com:
";

fn register(text: &str) -> Result<Register, String> {
    let reading = read_inventory("inventory.yaml", text.as_bytes());
    let said = render(&reading.diagnostics, &reading.sources, false);
    if !said.is_empty() {
        return Err(said);
    }
    reading.file.unwrap().register(None).map_err(|problems| render(&problems, &reading.sources, false))
}

fn chosen(pattern: &str) -> String {
    match register(SHOP).unwrap().select(Some(pattern)) {
        Ok(hosts) => hosts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_nearer_word_goes_before_a_farther_one() {
    let register = register(SHOP).unwrap();
    let host = |name: &str| &register.hosts[name];
    let tier = |name: &str| host(name).vars["tier"].as_str().unwrap();
    assert_eq!(
        ["web1", "web2", "web3", "db1", "lonely.example.com"].map(tier),
        ["front", "own", "front", "some", "none"]
    );
    assert_eq!(host("web1").vars["ntp"], "a");
    let environment = |name: &str| host(name).environment.as_deref();
    assert_eq!(
        [environment("web3"), environment("db1"), environment("lonely.example.com")],
        [Some("production"), Some("production"), None]
    );
    assert_eq!(
        [host("web3"), host("db1")].map(|host| host.owner.as_deref()),
        [Some("early-birds"), Some("platform")]
    );
    let connection = &host("web1").connection;
    assert_eq!(
        (connection.user.as_deref(), connection.port, connection.sudo),
        (Some("deploy"), Some(2222), Some(Sudo::Password))
    );
    assert_eq!(connection.sudo_password.as_deref(), Some("FLEET_SUDO"));
    let connection = &host("web3").connection;
    assert_eq!(
        (connection.user.as_deref(), connection.sudo, &connection.sudo_password),
        (Some("root"), Some(Sudo::None), &None)
    );
    assert_eq!(
        (host("db1").connection.sudo, &host("db1").connection.sudo_password),
        (Some(Sudo::Passwordless), &None)
    );
    assert_eq!(host("lonely.example.com").address, "lonely.example.com");
}

#[test]
fn a_child_s_hosts_are_its_parents_hosts() {
    let register = register(SHOP).unwrap();
    let members =
        |group: &str| register.groups[group].iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    assert_eq!(members("production"), "db1 web1 web2 web3");
    assert_eq!(members("web"), "web1 web2 web3");
    assert_eq!(register.groups_of("web3").collect::<Vec<_>>(), ["canary", "production", "web"]);
}

#[test]
fn what_may_be_a_secret_is_left_out_and_named() {
    let register = register(SHOP).unwrap();
    assert!(!register.hosts["web2"].vars.contains_key("api_key"));
    assert_eq!(
        register.withheld.iter().map(|(var, hosts)| (var.as_str(), *hosts)).collect::<Vec<_>>(),
        [("api_key", 1)]
    );
}

#[test]
fn patterns_choose_hosts() {
    for (pattern, hosts) in [
        ("web", "web1 web2 web3"),
        ("web:!canary", "web1 web2"),
        ("!canary:web", "web1 web2"),
        ("web:&canary", "web3"),
        ("production:&web:!web1", "web2 web3"),
        ("db,canary", "db1 web3"),
        ("web*", "web1 web2 web3"),
        ("*1", "db1 web1"),
        ("web?:!web2", "web1 web3"),
        ("!production", "lonely.example.com"),
        ("&canary", "web3"),
        ("all:!web", "db1 lonely.example.com"),
        ("*.example.com", "lonely.example.com"),
        ("web1", "web1"),
    ] {
        assert_eq!(chosen(pattern), hosts, "{pattern}");
    }
}

#[test]
fn a_pattern_that_finds_nothing_says_what_is_near() {
    insta::assert_snapshot!(chosen("wbe"), @"`wbe` is no group and no host of the inventory; did you mean `web`?");
    insta::assert_snapshot!(chosen("web:!canry"), @"`canry` is no group and no host of the inventory; did you mean `canary`?");
    insta::assert_snapshot!(chosen("zzz*"), @"`zzz*` is no group and no host of the inventory");
    for wrong in ["", "web:", "web::db", "~web.*", "web[0]", "@hosts", "web db", "!"] {
        assert!(Pattern::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_place() {
    insta::assert_snapshot!(register("
inventory: broken
sorce: { ansible: x }
source: { ansible: hosts.ini, command: [a] }
groups:
  all: {}
  web: { hosts: [web1, wbe2], children: [canry], conection: {} }
  canary: { hosts: { web1: {} } }
hosts:
  web1: { address: 10.0.0.1 }
").unwrap_err(), @r#"
    error[unknown-key]: an inventory has no key `sorce`
     --> inventory.yaml:3:1
      |
    3 | sorce: { ansible: x }
      | ^^^^^
      |
      = help: did you mean `source`?

    error[conflicting-keys]: `command` cannot stand beside `ansible`
     --> inventory.yaml:4:31
      |
    4 | source: { ansible: hosts.ini, command: [a] }
      |                               ^^^^^^^

    error[reserved-name]: no group can be named `all`
     --> inventory.yaml:6:3
      |
    6 |   all: {}
      |   ^^^
      |
      = help: what holds for all hosts stands at the outermost level

    error[unknown-key]: a group has no key `conection`
     --> inventory.yaml:7:50
      |
    7 |   web: { hosts: [web1, wbe2], children: [canry], conection: {} }
      |                                                  ^^^^^^^^^
      |
      = help: did you mean `connection`?

    error[duplicate-host]: the host `web1` is written down twice
     --> inventory.yaml:8:22
      |
    8 |   canary: { hosts: { web1: {} } }
      |                      ^^^^
      |
      = help: the first one is on line 10

    5 errors
    "#);
    insta::assert_snapshot!(register("
inventory: broken
groups:
  web: { hosts: [web1, wbe2], children: [canry] }
  canary: { hosts: { web2: { connection: { sudo_password: 'hunter 2' } } } }
hosts:
  web1: { address: -oProxyCommand=reboot }
").unwrap_err(), @r#"
    error[invalid-inventory]: the group `web` has the child `canry`, which is no group
     --> inventory.yaml:4:3
      |
    4 |   web: { hosts: [web1, wbe2], children: [canry] }
      |   ^^^
      |
      = help: did you mean `canary`?

    error[invalid-inventory]: the group `web` names `wbe2`, which is no host
     --> inventory.yaml:4:3
      |
    4 |   web: { hosts: [web1, wbe2], children: [canry] }
      |   ^^^
      |
      = help: did you mean `web2`?

    error[invalid-inventory]: the host `web2` cannot be reached: `sudo_password` must be the name of a secret (letters, digits, `_`, `-`, `.`), not a password
     --> inventory.yaml:5:22
      |
    5 |   canary: { hosts: { web2: { connection: { sudo_password: 'hunter 2' } } } }
      |                      ^^^^

    error[invalid-inventory]: the host `web1` cannot be reached: `address` is `-oProxyCommand=reboot`: ssh would take it for an option
     --> inventory.yaml:7:3
      |
    7 |   web1: { address: -oProxyCommand=reboot }
      |   ^^^^

    4 errors
    "#);
    insta::assert_snapshot!(register("
inventory: round
groups:
  a: { children: [b] }
  b: { children: [a] }
").unwrap_err(), @r#"
    error[invalid-inventory]: the group `b` is among its own children
     --> inventory.yaml:5:3
      |
    5 |   b: { children: [a] }
      |   ^

    1 error
    "#);
}

#[test]
fn files_of_our_own_are_recognised() {
    for ours in
        [SHOP, "# x\ninventory: shop\n", "{ \"inventory\": \"shop\", \"hosts\": {} }", "---\ninventory: shop"]
    {
        assert!(is_inventory(ours), "{ours}");
    }
    for foreign in [
        "[web]\nweb1\n",
        "all:\n  hosts:\n",
        "inventory:\n  hosts:\n    web1:\n",
        "{ \"inventory\": { } }",
        "plugin: x\n inventory: y\n",
        "",
    ] {
        assert!(!is_inventory(foreign), "{foreign}");
    }
}

#[test]
fn a_source_is_read() {
    let text = "
inventory: cmdb
source:
  http:
    url: https://netbox.example/api/dcim/devices/
    headers: { Authorization: \"Token {{ secret('NETBOX') }}\" }
    items: results
    next: next
    name: name
    groups: role.slug
    vars: { rack: rack.name }
  timeout: 30s
  vars: [rack]
";
    let file = read_inventory("inventory.yaml", text.as_bytes()).file.unwrap();
    let source = file.source.unwrap();
    assert_eq!(
        (source.timeout.map(|span| span.get().as_secs()), source.vars),
        (Some(30), Some(vec!["rack".to_owned()]))
    );
    let From::Http(pages) = source.from else { panic!("{:?}", source.from) };
    assert_eq!((pages.items.as_deref(), &pages.groups[..]), (Some("results"), &["role.slug".to_owned()][..]));
}

proptest! {
    /// Whatever a file holds, it is read or refused.
    #[test]
    fn no_file_breaks_the_reader(
        pieces in vec(select(vec![
            "inventory: x\n", "hosts:\n", "groups:\n", "  web:\n", "    hosts: ", "    children: ", "[web1, web2]", "{ web1: ", "}",
            "    connection: ", "{ port: 22, sudo: password }", "source:\n", "  http: ", "  ansible: ", "    vars: ", "\n", "- ", "&a ",
            "*a", "'", "~", "\u{0}", "é", ": ", "all", "web", "{ url: x, name: y }", "timeout: 1s",
        ]), 0..24),
        pattern in "[a-z*?:!&,~@\\[ ]{0,12}",
    ) {
        let text = pieces.concat();
        let reading = read_inventory("inventory.yaml", text.as_bytes());
        render(&reading.diagnostics, &reading.sources, false);
        if let Some(register) = reading.file.and_then(|file| file.register(None).ok()) {
            // Both outcomes are right; a panic is not.
            let _ = register.select(Some(&pattern));
        }
        let _ = Pattern::parse(&pattern);
    }
}
