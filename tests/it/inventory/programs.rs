//! Programs that print JSON.

use serde_json::json;

use super::{path, shown};
use crate::program::{Done, Place};

fn inventory(place: &Place, script: &str, more: &str) {
    place.write("cmdb.sh", script);
    place.write("fleet.yaml", &format!("inventory: cmdb\nsource: {{ command: [sh, cmdb.sh]{more} }}\n"));
}

#[test]
fn a_program_tells_hosts_in_our_shape_or_in_ansible_s() {
    let place = Place::new();
    let ours = r#"{ "hosts": { "web1": { "address": "10.0.0.1", "owner": "shop" } }, "groups": { "web": { "hosts": ["web1"], "environment": "production" } } }"#;
    inventory(&place, &format!("echo '{ours}'"), "");
    let shown_json = place.run(&["inventory", "--json", "-i", &path(&place, "fleet.yaml")]).exits(0).json();
    let host = &shown_json["hosts"][0];
    assert_eq!(
        (&host["address"], &host["environment"], &host["owner"]),
        (&json!("10.0.0.1"), &json!("production"), &json!("shop"))
    );
    inventory(&place, "echo warning; echo '{ \"web\": { \"hosts\": [\"a\", \"b\"] } }'", "");
    assert_eq!(shown(&place, "fleet.yaml"), ["a", "b"]);
}

#[test]
fn it_gets_the_secrets_that_its_file_names_and_no_other() {
    let place = Place::new();
    let script =
        "[ \"$TOKEN\" = s3cret-token ] || { echo \"error: the token $TOKEN is refused\" >&2; exit 3; }
[ -z \"$RUNBOOK_SECRET_OTHER$RUNBOOK_SECRET_CMDB\" ] || exit 4
echo '{ \"hosts\": { \"a\": null } }'";
    inventory(&place, script, ", env: { TOKEN: \"{{ secret('CMDB') }}\" }");
    let run = |secret: Option<&str>| {
        let mut command = place.command(&["inventory", "-i", &path(&place, "fleet.yaml")]);
        command.env("RUNBOOK_SECRET_OTHER", "another-secret");
        if let Some(secret) = secret {
            command.env("RUNBOOK_SECRET_CMDB", secret);
        }
        Done::from(command.output().expect("the binary runs"))
    };
    run(Some("s3cret-token")).exits(0);
    let refused = run(Some("wrong-token")).exits(4);
    insta::assert_snapshot!(refused.transcript(&place), @r#"
    exit 4
    --- stderr
    error: `sh` ended with exit code 3: error: the token *** is refused
      at PLACE/fleet.yaml
    "#);
    let missing = run(None).exits(4);
    insta::assert_snapshot!(missing.transcript(&place), @r#"
    exit 4
    --- stderr
    error: an expression of its source cannot be filled in: the secret `CMDB` is not set
      at PLACE/fleet.yaml
      do: export RUNBOOK_SECRET_CMDB=…, or put a file CMDB into $RUNBOOK_SECRETS_DIR
    "#);
}

#[test]
fn what_it_does_wrong_is_told() {
    let place = Place::new();
    let refused = |script: &str, more: &str| {
        inventory(&place, script, more);
        let done = place.run(&["inventory", "-i", &path(&place, "fleet.yaml")]).exits(4);
        done.stderr.lines().next().unwrap_or_default().to_owned()
    };
    insta::assert_snapshot!(refused("echo nothing", ""), @"error: `sh` printed no JSON object");
    insta::assert_snapshot!(refused("echo '{ \"hosts\": { \"a\": 5 } }'", ""), @"error: what `sh` printed is wrong at 1:19: a host must be a mapping, not the number 5");
    insta::assert_snapshot!(refused("echo '{ \"hosts\": '", ""), @"error: `sh` printed JSON that cannot be read (line 2, column 0)");
    insta::assert_snapshot!(refused("exit 7", ""), @"error: `sh` ended with exit code 7");
    insta::assert_snapshot!(refused("kill -9 $$", ""), @"error: `sh` ended with signal: 9 (SIGKILL)");
    // What it leaves behind goes with it: the test would not end before the other one does.
    insta::assert_snapshot!(refused("sleep 600 & sleep 600", ", timeout: 1s"), @"error: `sh` did not end within 1 s and was killed");
}
