//! Planted secrets are found in no file of the state folder and in no output.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::program::{Done, Place};

const VARIABLE: &str = "Tr0ub4dor&3 \"quoted\"/slash";
const FILE: &str = "correct-horse-battery-staple";

/// The forms in which they could be found.
fn forms() -> Vec<String> {
    vec![
        VARIABLE.to_owned(),
        "Tr0ub4dor%263".to_owned(),
        r#"Tr0ub4dor&3 \"quoted\""#.to_owned(),
        "VHIwdWI0ZG9y".to_owned(),
        FILE.to_owned(),
        "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBs".to_owned(),
    ]
}

fn search(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            search(&path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            in_bytes(&path.display().to_string(), &bytes, found);
        }
    }
}

fn in_bytes(place: &str, bytes: &[u8], found: &mut Vec<String>) {
    for form in forms() {
        if bytes.windows(form.len()).any(|window| window == form.as_bytes()) {
            found.push(format!("{form} in {place}"));
        }
    }
}

#[test]
fn secrets_are_in_no_file_and_no_output() {
    let place = Place::new();
    fs::create_dir(place.path("secrets")).expect("a folder");
    let file = place.write("secrets/FROM_FILE", &format!("{FILE}\n"));
    let runbook = place.write(
        "leaky.yaml",
        r#"
runbook: leaky
steps:
  prints:
    uses: local/command
    effect: reads
    with:
      env: { A: "{{ secret('FROM_ENV') }}", B: "{{ secret('FROM_FILE') }}" }
      script: |
        echo "$A"; echo "$B" >&2; printf %s "$A" | base64 -w0; echo; printf %s "$B" | base64 -w0
        printf %s "$A" | sed 's/&/%26/; s/ /%20/; s/"/%22/g; s,/,%2F,'; echo
  fails:
    needs: [prints]
    uses: local/command
    effect: reads
    with:
      env: { A: "{{ secret('FROM_ENV') }}" }
      script: 'echo "it said: $A" >&2; exit 3'
notify:
  - events: [run_started, finished]
    webhook:
      url: "http://127.0.0.1:9/{{ secret('FROM_FILE') }}"
      headers: { Authorization: "Bearer {{ secret('FROM_ENV') }}" }
      body: "{{ secret('FROM_ENV') }}"
"#,
    );
    let runbook = runbook.display().to_string();
    let with_secrets = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("RUNBOOK_SECRET_FROM_ENV", VARIABLE).env("RUNBOOK_SECRETS_DIR", place.path("secrets"));
        Done::from(command.output().expect("it runs"))
    };

    let open = with_secrets(&["run", &runbook, "--no-wait"]).exits(4);
    assert!(open.stderr.contains("chmod 600"), "{}", open.stderr);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("closed");
    let missing = place.run(&["run", &runbook]).exits(4);
    assert!(missing.stderr.contains("FROM_ENV"), "{}", missing.stderr);
    assert_eq!(place.run(&["list", "--json"]).exits(0).stdout, "", "nothing was journaled");

    let done = with_secrets(&["run", &runbook, "--json"]).exits(10);
    let mut found = Vec::new();
    in_bytes("the output of run", done.stdout.as_bytes(), &mut found);
    in_bytes("the errors of run", done.stderr.as_bytes(), &mut found);
    for arguments in [&["show", "--json"][..], &["show"], &["events", "--json"], &["events"], &["logs"]] {
        let told = place.run(arguments);
        in_bytes(arguments[0], told.stdout.as_bytes(), &mut found);
        in_bytes(arguments[0], told.stderr.as_bytes(), &mut found);
    }
    search(&place.path("state"), &mut found);
    assert_eq!(found, Vec::<String>::new());
    assert!(place.run(&["events", "--json"]).stdout.contains("***"), "what was printed is masked, not lost");
}
