//! Different Unix users at the socket. Only root can become somebody else: elsewhere these tests have nothing to say.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    process::Command,
};

use crate::{
    holder::until,
    program::{Done, Place},
};

const GATED: &str = r#"
runbook: gated
steps:
  approve:
    uses: gate/approval
    with: { approvers: [nobody, daemon], quorum: 2, expires: 1h }
  after:
    needs: [approve]
    uses: local/command
    effect: reads
    with: { script: "true" }
"#;

/// The binary, where everybody can run it.
fn binary_for_all(place: &Place) -> String {
    fs::set_permissions(place.path(""), Permissions::from_mode(0o711)).expect("a folder to pass through");
    let copy = place.path("runbook");
    fs::copy(env!("CARGO_BIN_EXE_runbook"), &copy).expect("a copy");
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("executable");
    copy.display().to_string()
}

fn as_user(place: &Place, user: &str, binary: &str, arguments: &[&str]) -> Done {
    // Debian gives nobody a group of another name.
    let group = if user == "nobody" { "nogroup" } else { user };
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--regid", group, "--clear-groups", binary])
        .args(arguments)
        .env_clear()
        .env("RUNBOOK_STATE", place.path("state"))
        .env("HOME", "/");
    Done::from(command.output().expect("setpriv"))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

#[test]
fn two_users_approve_and_nobody_else_decides() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let binary = binary_for_all(&place);
    let file = place.write("gated.yaml", GATED).display().to_string();
    let mut holder = place.start(&["run", &file]);
    until("the gate", || place.run(&["show", "--json"]).stdout.contains("\"approval\""));

    // The owner is no approver; others have no say at all, and see nothing.
    place.run(&["approve"]).exits(4);
    let stranger = as_user(&place, "bin", &binary, &["show"]);
    assert_ne!(stranger.code, 0, "{stranger:?}");
    as_user(&place, "nobody", &binary, &["show"]).exits(0);
    for order in [&["pause"][..], &["cancel", "--leave"]] {
        as_user(&place, "nobody", &binary, order).exits(4);
    }

    as_user(&place, "nobody", &binary, &["approve"]).exits(0);
    let again = as_user(&place, "nobody", &binary, &["approve"]);
    assert_ne!(again.code, 0, "{again:?}");
    assert!(place.run(&["show", "--json"]).stdout.contains("\"approval\""), "one user counts once");
    as_user(&place, "daemon", &binary, &["approve"]).exits(0);
    assert_eq!(holder.wait().expect("an end").code(), Some(0));
}

#[test]
fn without_a_holder_only_the_owner_is_heard() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let binary = binary_for_all(&place);
    let file = place.write("gated.yaml", GATED).display().to_string();
    place.run(&["run", &file, "--no-wait"]).exits(12);
    as_user(&place, "nobody", &binary, &["approve"]).exits(20);
    assert_eq!(place.run(&["list", "--json"]).lines()[0]["status"], "waiting");
}
