//! An account on moto: twelve machines in three environments, users, and what runs on the machines.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use runbook_test_servers::{EstateMachine, Granted, Keys, Machines, Moto, make_users, start_estate};
use serde_json::{Map, Value, json};

use crate::{
    program::{Done, Place},
    sandbox::server::Sandbox,
};

/// The machines on which the change goes wrong.
pub const SPOILED: [&str; 2] = ["production-2", "production-3"];

/// All environments are backed up and changed, one after the other; what is not well then goes back.
const RUNBOOK: &str = r#"
runbook: swap
params:
  machines: { type: string, default: "http://127.0.0.1:1", description: Where the machines answer }
targets:
  dev:        { aws: { tags: { Environment: dev } } }
  staging:    { aws: { tags: { Environment: staging } } }
  production: { aws: { tags: { Environment: production } } }
blocks:
  changed:
    backup:
      uses: aws/snapshot
      with: { keep: 14d }
    change:
      needs: [backup]
      uses: local/command
      effect: changes
      with:
        command:
          - python3
          - -c
          - "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], data=b'')"
          - "{{ params.machines }}/{{ target.id }}"
      on_failure: [restore]
    healthy:
      needs: [change]
      uses: check/http
      with: { url: "{{ params.machines }}/{{ target.id }}", within: 3s, every: 1s }
      on_failure: [restore]
    restore:
      uses: aws/restore
      targets: { failed_in: [change, healthy] }
      with: { from: backup, strategy: swap-volumes }
steps:
  dev:     { run: changed, targets: dev }
  staging: { run: changed, targets: staging, needs: [dev] }
  production:
    run: changed
    targets: production
    needs: [staging]
    rollout: { waves: [4], max_failures: 2 }
"#;

/// Nobody's machines: it is there for the calls that moto lacks.
const ELSEWHERE: &str = r"
fleet: elsewhere
start: 2026-11-21T16:00:00Z
groups:
  - { name: other, count: 1, tags: { Fleet: other } }
";

/// The account.
pub struct Account {
    pub moto: Moto,
    pub estate: BTreeMap<String, EstateMachine>,
    admin: Keys,
    users: BTreeMap<String, Keys>,
    machines: Machines,
    ssm: Sandbox,
}

impl Account {
    /// With a user for each of these policies, by name. Who calls needs the right to.
    pub fn new(policies: &BTreeMap<String, Value>) -> Self {
        let account = Self::made(policies);
        account.moto.enforce_rights();
        account
    }

    /// One in which everybody may do everything; `anybody` is a user.
    pub fn open() -> Self {
        Self::made(&BTreeMap::from([("anybody".to_owned(), everything())]))
    }

    fn made(policies: &BTreeMap<String, Value>) -> Self {
        let moto = Moto::start();
        let endpoint = moto.endpoint();
        let estate = start_estate(&endpoint);
        let granted = |written: &Value| Granted { written: written.clone(), granted: understood(written) };
        let mut users: BTreeMap<_, _> =
            policies.iter().map(|(name, written)| (name.clone(), granted(written))).collect();
        users.insert("admin".to_owned(), granted(&everything()));
        let mut users = make_users(&endpoint, &users);
        let admin = users.remove("admin").expect("the administrator");
        let machines = Machines::start(&endpoint, &admin, &SPOILED);
        Self { moto, estate, admin, users, machines, ssm: Sandbox::start(ELSEWHERE) }
    }

    /// What the AWS CLI answers to somebody who may do everything.
    pub fn aws(&self, arguments: &[&str]) -> Value {
        self.admin.aws(&self.moto.endpoint(), arguments)
    }

    /// Somebody who works in it.
    pub fn user(&self, name: &str) -> User<'_> {
        User {
            account: self,
            keys: &self.users[name],
            place: Place::new(),
            endpoint: self.moto.endpoint(),
            ssm: self.ssm.url(),
        }
    }
}

/// A user of the account, with a state folder.
pub struct User<'a> {
    account: &'a Account,
    keys: &'a Keys,
    place: Place,
    endpoint: String,
    ssm: String,
}

impl User<'_> {
    /// Calls go there, and from there to moto.
    pub fn by_way_of(mut self, endpoint: String) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Systems Manager is moto's too.
    pub fn all_of_moto(mut self) -> Self {
        self.ssm = self.account.moto.endpoint();
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.envs(self.keys.environment(&self.endpoint)).env("AWS_ENDPOINT_URL_SSM", &self.ssm);
        command
    }

    /// Runs a command to its end.
    pub fn ask(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(arguments).output().expect("the binary runs"))
    }

    /// Runs the runbook of this account to its end.
    pub fn run(&self, more: &[&str]) -> Done {
        let machines = format!("machines={}", self.account.machines.endpoint());
        self.run_other(RUNBOOK, &[&["--param", &machines], more].concat())
    }

    /// Runs another runbook to its end.
    pub fn run_other(&self, runbook: &str, more: &[&str]) -> Done {
        let file = self.place.write("runbook.yaml", runbook).display().to_string();
        self.ask(&[&["run", &file], more].concat())
    }
}

fn everything() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }],
    })
}

/// The policy that is generated for the runbook.
pub fn generated() -> Value {
    let place = Place::new();
    let file = place.write("swap.yaml", RUNBOOK).display().to_string();
    let all = place.run(&["iam-policy", &file, "--json"]).exits(0).json();
    all["documents"][0]["policy"].clone()
}

/// All actions that a policy allows.
pub fn actions(policy: &Value) -> BTreeSet<String> {
    statements(policy).iter().flat_map(listed).collect()
}

/// The policy without this action.
pub fn without(policy: &Value, action: &str) -> Value {
    let mut statements: Vec<_> = statements(policy).to_vec();
    for statement in &mut statements {
        let left: Vec<_> = listed(statement).into_iter().filter(|each| each != action).collect();
        statement["Action"] = json!(left);
    }
    statements.retain(|statement| statement["Action"].as_array().is_some_and(|left| !left.is_empty()));
    json!({ "Version": policy["Version"], "Statement": statements })
}

/// What moto can understand of a policy. It compares actions, but knows neither which resources a call is about, so that
/// only `*` matches, nor what conditions ask for, so that none is ever met. Both are left to AWS.
fn understood(policy: &Value) -> Value {
    let mut statements: Vec<Value> = statements(policy).to_vec();
    for statement in &mut statements {
        let statement: &mut Map<_, _> = statement.as_object_mut().expect("a statement");
        statement.insert("Resource".to_owned(), json!("*"));
        statement.remove("Condition");
    }
    json!({ "Version": policy["Version"], "Statement": statements })
}

fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().expect("statements")
}

fn listed(statement: &Value) -> Vec<String> {
    match &statement["Action"] {
        Value::String(one) => vec![one.clone()],
        more => serde_json::from_value(more.clone()).expect("actions"),
    }
}
