//! The least policy of a runbook.

use serde_json::Value;

use crate::program::Place;

const ACCOUNTS: &str = "\
runbook: accounts
targets:
  here:  { aws: { ids: [i-0a, i-0b], region: eu-central-1 } }
  there: { aws: { tags: { Role: [web, \"db-*\"] }, region: eu-west-1, role: \"arn:aws:iam::111122223333:role/runbook\" } }
  cells: { aws: { resource_group: cells, role: \"arn:aws:iam::444455556666:role/runbook\" } }
  both:  { all_of: [there, cells] }
steps:
  reboot:  { uses: aws/reboot, targets: here, way_back: none, because: a reboot }
  look:    { uses: aws/compliance, targets: there }
  command:
    uses: aws/command
    targets: cells
    timeout: 1h
    way_back: none
    because: nothing is changed
    when: \"{{ target.tags['Name'] == 'one' }}\"
    rollout: { waves: [1], first: [one] }
    with: { document: Own-Document, parameters: { port: [\"{{ target.tags.Port }}\"] } }
";

/// The statement of this name in the policy of a role, or of the caller.
fn statement<'a>(all: &'a Value, role: Option<&str>, sid: &str) -> &'a Value {
    let documents = all["documents"].as_array().expect("documents");
    let document = documents.iter().find(|each| each["role"].as_str() == role).expect("the document");
    let statements = document["policy"]["Statement"].as_array().expect("statements");
    statements.iter().find(|each| each["Sid"] == sid).unwrap_or(&Value::Null)
}

#[test]
fn of_the_shipped_runbooks() {
    let place = Place::new();
    let policy = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["iam-policy", "--json"].iter().chain(arguments).copied().collect();
        let all = place.run(&arguments).exits(0).json();
        let documents = all["documents"].as_array().expect("documents");
        assert!(documents.iter().all(|each| each["fits"] == true), "{all}");
        format!("{all:#}\n")
    };
    insta::assert_snapshot!("patch_linux", policy(&["runbooks/patch-linux.yaml", "--with-gc"]));
    insta::assert_snapshot!(
        "run_command",
        policy(&["runbooks/run-command.yaml", "--param", "script=uptime"])
    );
    let nothing = policy(&["runbooks/deploy-local.yaml"]);
    assert!(nothing.contains("\"documents\": []"), "{nothing}");
}

#[test]
fn each_account_gets_its_own() {
    let place = Place::new();
    let file = place.write("accounts.yaml", ACCOUNTS).display().to_string();
    let all = place.run(&["iam-policy", &file, "--json"]).exits(0).json();
    let (there, cells) = ("arn:aws:iam::111122223333:role/runbook", "arn:aws:iam::444455556666:role/runbook");

    let assume = statement(&all, None, "AssumeRoles");
    assert_eq!(assume["Resource"], serde_json::json!([there, cells]));
    let machines = statement(&all, None, "Machines");
    let ids = ["arn:aws:ec2:eu-central-1:*:instance/i-0a", "arn:aws:ec2:eu-central-1:*:instance/i-0b"];
    assert_eq!(machines["Resource"], serde_json::json!(ids));
    assert!(machines["Action"].to_string().contains("ec2:RebootInstances"));

    let machines = statement(&all, Some(there), "Machines");
    assert_eq!(machines["Resource"], "arn:aws:ec2:eu-west-1:111122223333:instance/*");
    let like = serde_json::json!({ "StringLike": { "aws:ResourceTag/Role": ["db-*", "web"] } });
    assert_eq!(machines["Condition"], like);
    assert!(!machines["Action"].to_string().contains("ec2:RebootInstances"));

    let groups = statement(&all, Some(cells), "ResourceGroups");
    assert_eq!(groups["Resource"], "arn:aws:resource-groups:*:444455556666:group/cells*");
    let documents = statement(&all, Some(cells), "Documents");
    assert_eq!(documents["Resource"], "arn:aws:ssm:*:444455556666:document/Own-Document");
    // Nothing is known of the machines of a resource group.
    assert_eq!(statement(&all, Some(cells), "Machines")["Condition"], Value::Null);

    let folder = place.path("policies");
    place.run(&["iam-policy", &file, "--output", &folder.display().to_string()]).exits(0);
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["111122223333-runbook.json", "444455556666-runbook.json", "caller.json"]);
}

#[test]
fn what_is_wrong_with_the_runbook_is_said() {
    let place = Place::new();
    let file =
        place.write("bad.yaml", "runbook: bad\nsteps:\n  a: { uses: nothing }\n").display().to_string();
    place.run(&["iam-policy", &file]).exits(3);
    place.run(&["iam-policy", "runbooks/run-command.yaml"]).exits(3);
}
