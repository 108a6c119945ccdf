//! How each host of a playbook comes out, whatever else happens.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::Playing;

/// Waits for something that other processes bring about.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(10));
    }
}

const LOCAL: &str = "{ address: 127.0.0.1, vars: { ansible_connection: local } }";

fn runbook(with: &str) -> String {
    format!(
        "runbook: play
targets:
  box: {{ hosts: {{ box-1: {LOCAL}, box-2: {LOCAL} }} }}
steps:
  patch:
    uses: ansible/playbook
    targets: box
    effect: changes
    way_back: none
    because: nothing is installed here
    with: {with}
"
    )
}

#[test]
fn failed_rescued_and_unreachable_hosts_are_all_counted_and_the_next_wave_is_not_started() {
    let playing = Playing::new();
    playing.run(&["run", "docs/examples/ansible/rollout.yaml"]).exits(10);
    let show = playing.run(&["show", "--json"]).exits(0).json();
    let outcome = |host: &str| show["targets"][host]["outcome"].as_str().unwrap_or_default().to_owned();
    let cause = |host: &str| show["targets"][host]["cause"].as_str().unwrap_or_default().to_owned();
    let outcomes: Vec<String> = (1..=8).map(|host| outcome(&format!("web-{host}"))).collect();
    assert_eq!(
        outcomes,
        [
            "succeeded",
            "failed",
            "failed",
            "unreachable",
            "not_started",
            "not_started",
            "not_started",
            "not_started"
        ]
    );
    assert!(cause("web-2").contains("the task `start the service` failed"), "{show:#}");
    assert!(cause("web-3").contains("the task `install the patch` failed, and docs/"), "{show:#}");
    assert!(cause("web-4").contains("Connection refused"), "{show:#}");
    assert_eq!(playing.lines("patched"), ["web-1"]);
    // None of the three could be left out: a budget of two would hold.
    let events = playing.run(&["events", "--json"]).exits(0).stdout;
    let events =
        events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an event"));
    let mut exceeded = events.filter(|entry| entry["event"]["type"] == "budget_exceeded");
    let event = exceeded.next().expect("the budget was exceeded")["event"].clone();
    assert_eq!((&event["failures"], &event["limit"]), (&json!(3), &json!(2)), "{event:#}");
}

/// Killed with the playbook in the middle of a task; the playbook goes on, and the next life takes its results, also where
/// the secret that it was started with is another one by then.
#[test]
fn killed_in_the_middle_of_a_playbook_it_runs_once() {
    let playing = Playing::new();
    let folder = playing.place.path("").display().to_string();
    playing.place.write(
        "slow.yml",
        &format!(
            "- hosts: all
  gather_facts: false
  tasks:
    - name: begin
      ansible.builtin.shell: 'echo {{{{ inventory_hostname }}}} >>{folder}began'
    - name: wait
      ansible.builtin.shell: 'until [ -e {folder}go ]; do sleep 0.05; done'
    - name: install
      ansible.builtin.shell: 'echo {{{{ inventory_hostname }}}} >>{folder}installed'
"
        ),
    );
    let secret = "{ playbook: slow.yml, env: { PW: \"{{ secret('PW') }}\" } }";
    playing.place.write("play.yaml", &runbook(secret));
    let mut child = playing
        .command(&["run", "play.yaml"])
        .env("RUNBOOK_SECRET_PW", "hunter2hunter2")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    until("the first task", || playing.lines("began").len() == 2);
    child.kill().expect("it is killed");
    child.wait().expect("it is dead");
    playing.place.write("go", "");
    let mut resume = playing.command(&["resume"]);
    resume.env("RUNBOOK_SECRET_PW", "correct horse battery");
    crate::program::Done::from(resume.output().expect("it runs")).exits(0);
    assert_eq!(playing.lines("began"), ["box-1", "box-2"]);
    assert_eq!(playing.lines("installed"), ["box-1", "box-2"]);
    let show = playing.run(&["show", "--json"]).exits(0).json();
    let outputs = &show["tasks"][0]["outputs"];
    assert_eq!(outputs["box-2"]["changes"], json!(["begin", "wait", "install"]), "{show:#}");
}

/// Ansible itself is killed while its modules run on: nobody knows what became of the hosts, and a person is asked.
#[test]
fn a_playbook_that_is_killed_leaves_unknown_hosts_and_is_not_run_again() {
    let playing = Playing::new();
    let folder = playing.place.path("").display().to_string();
    playing.place.write(
        "killed.yml",
        &format!(
            "- hosts: all
  gather_facts: false
  tasks:
    - name: wait
      ansible.builtin.shell: 'echo {{{{ inventory_hostname }}}} >>{folder}began; until [ -e {folder}go ]; do sleep 0.05; done'
    - name: install
      ansible.builtin.shell: 'echo {{{{ inventory_hostname }}}} >>{folder}installed'
"
        ),
    );
    let text =
        runbook("{ playbook: killed.yml }").replace("    effect:", "    resolve_within: 1s\n    effect:");
    playing.place.write("play.yaml", &text);
    let run = playing
        .command(&["run", "play.yaml"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    until("the first task", || playing.lines("began").len() == 2);
    kill_ansible(&playing.place.path(""));
    let ended = crate::program::Done::from(run.wait_with_output().expect("an end")).exits(11);
    playing.place.write("go", "");
    let show = playing.run(&["show", "--json"]).exits(0).json();
    for host in ["box-1", "box-2"] {
        let target = &show["targets"][host];
        assert_eq!(target["outcome"], "unknown", "{show:#}\n{}", ended.stderr);
        let cause = target["cause"].as_str().unwrap_or_default();
        assert!(cause.contains("killed.yml ended early"), "{cause}");
        assert!(cause.contains("the task `wait` may run on"), "{cause}");
    }
    assert_eq!(playing.lines("began").len(), 2);
    assert!(!playing.place.path("installed").exists());
}

/// Kills every process of `ansible-playbook` that works in this folder, the way the kernel does when memory is out.
fn kill_ansible(folder: &Path) {
    let folder = fs::canonicalize(folder).expect("a folder");
    let is_ours = |process: &PathBuf| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        let is_program = words.nth(1).is_some_and(|word| word.ends_with(b"/ansible-playbook"));
        is_program && fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == folder)
    };
    let processes = fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path());
    let found: Vec<_> = processes.filter(is_ours).collect();
    assert!(!found.is_empty(), "Ansible is not at work");
    let ids = found.iter().filter_map(|process| process.file_name());
    // Those that the first one started may be gone before it is their turn.
    let _ = Command::new("kill").arg("-9").args(ids).output().expect("kill starts");
}

#[test]
fn a_playbook_that_cannot_be_read_is_one_cause_and_hosts_that_no_play_matches_have_not_worked() {
    let playing = Playing::new();
    playing.place.write("broken.yml", "- hosts: all\n  tasks: [{ nosuch.module: }]\n");
    playing.place.write("play.yaml", &runbook("{ playbook: broken.yml }"));
    playing.run(&["run", "play.yaml"]).exits(10);
    let show = playing.run(&["show", "--json"]).exits(0).json();
    let cause = show["targets"]["box-2"]["cause"].as_str().unwrap_or_default().to_owned();
    assert!(cause.contains("did not begin with broken.yml: it exited with 4: couldn't resolve"), "{cause}");

    playing
        .place
        .write("other.yml", "- hosts: box-1\n  gather_facts: false\n  tasks: [{ ansible.builtin.ping: }]\n");
    playing.place.write("play.yaml", &runbook("{ playbook: other.yml }"));
    playing.run(&["run", "play.yaml"]).exits(10);
    let show = playing.run(&["show", "--json"]).exits(0).json();
    assert_eq!(show["targets"]["box-1"]["outcome"], "succeeded", "{show:#}");
    let cause = show["targets"]["box-2"]["cause"].as_str().unwrap_or_default().to_owned();
    assert!(cause.contains("other.yml did not reach box-2"), "{cause}");
}

#[test]
fn a_checked_playbook_changes_nothing_and_says_what_it_would_change_and_secrets_are_masked() {
    let playing = Playing::new();
    let file = playing.place.path("made").display().to_string();
    playing.place.write(
        "make.yml",
        &format!(
            "- hosts: box-1
  gather_facts: false
  tasks:
    - {{ name: make the file, ansible.builtin.copy: {{ dest: {file}, content: x }} }}
- hosts: box-2
  gather_facts: false
  tasks:
    - {{ name: say it, ansible.builtin.fail: {{ msg: \"the password is {{{{ lookup('env', 'PW') }}}}\" }} }}
"
        ),
    );
    playing.place.write(
        "play.yaml",
        &runbook("{ playbook: make.yml, check: true, env: { PW: \"{{ secret('PW') }}\" } }")
            .replace("    effect: changes\n    way_back: none\n    because: nothing is installed here\n", ""),
    );
    // The same before there is a run, where it can be said: what needs a secret is known only then.
    let late = playing.run(&["plan", "play.yaml", "--ansible-check"]).exits(0).stdout;
    assert!(late.contains("  patch  cannot be said before the run: env is known only then"), "{late}");
    playing.place.write("plain.yaml", &runbook("{ playbook: make.yml }"));
    let preview = playing.run(&["plan", "plain.yaml", "--ansible-check"]).exits(0).stdout;
    assert!(preview.contains("  patch  box-1  make the file\n"), "{preview}");
    assert!(preview.contains("  patch  box-2  cannot be said: the task `say it` failed"), "{preview}");
    let mut command = playing.command(&["run", "play.yaml"]);
    command.env("RUNBOOK_SECRET_PW", "hunter2hunter2");
    crate::program::Done::from(command.output().expect("it runs")).exits(10);
    assert!(!playing.place.path("made").exists());
    let done = playing.run(&["show", "--json"]).exits(0);
    let show = done.json();
    assert_eq!(show["tasks"][0]["outputs"]["box-1"]["changes"], json!(["make the file"]), "{show:#}");
    let cause = show["targets"]["box-2"]["cause"].as_str().unwrap_or_default().to_owned();
    assert!(cause.contains("the task `say it` failed: the password is"), "{cause}");
    assert!(!done.stdout.contains("hunter2"), "{}", done.stdout);
    let events = playing.run(&["events"]).exits(0).stdout;
    assert!(!events.contains("hunter2"), "{events}");
}

/// What was approved is what runs: the text of the playbook, its roles, and where its hosts are.
#[test]
fn a_playbook_that_is_no_longer_the_planned_one_is_not_started() {
    let playing = Playing::new();
    let touch = |name: &str| {
        let file = playing.place.path(name).display().to_string();
        format!(
            "- hosts: all\n  gather_facts: false\n  tasks: [{{ ansible.builtin.shell: 'echo x >>{file}' }}]\n"
        )
    };
    playing.place.write("site.yml", &touch("planned"));
    playing.place.write("play.yaml", &runbook("{ playbook: site.yml }"));
    let first = playing.run(&["plan", "play.yaml", "-o", "plan.json", "--json"]).exits(0).json();
    playing.place.write("site.yml", &touch("another"));
    let second = playing.run(&["plan", "play.yaml", "--json"]).exits(0).json();
    assert_ne!(first["sha256"], second["sha256"], "another playbook is another plan");
    let said = playing.run(&["run", "plan.json"]).exits(3).stderr;
    assert!(
        said.contains("a playbook is no longer the planned one: site.yml, or a role beside it"),
        "{said}"
    );
    assert!(!playing.place.path("another").exists());
    playing.place.write("site.yml", &touch("planned"));
    playing.run(&["run", "plan.json"]).exits(0);
    assert_eq!(playing.lines("planned").len(), 2);
    // What the author says goes before what it is.
    playing.place.write("play.yaml", &runbook("{ playbook: site.yml, sha256: 0123abcd }"));
    let said = playing.run(&["plan", "play.yaml"]).exits(3).stderr;
    assert!(said.contains("a playbook is not what its `sha256` says: site.yml"), "{said}");
    // One that an earlier step would make is said, and not held against the plan.
    playing.place.write("play.yaml", &runbook("{ playbook: later.yml }"));
    let said = playing.run(&["plan", "play.yaml"]).exits(0).stderr;
    assert!(said.contains("note: the plan does not hold what later.yml is"), "{said}");
}

#[test]
fn a_host_that_the_inventory_has_elsewhere_is_not_touched() {
    let playing = Playing::new();
    let file = playing.place.path("touched").display().to_string();
    playing.place.write(
        "site.yml",
        &format!("- hosts: all\n  gather_facts: false\n  tasks: [{{ local_action: 'ansible.builtin.shell echo x >>{file}' }}]\n"),
    );
    let text = runbook("{ playbook: site.yml, inventory: [hosts.ini] }");
    playing
        .place
        .write("play.yaml", &text.replace(LOCAL, "{ address: 127.0.0.1, connection: { port: 22 } }"));
    for (entry, words) in [
        (
            "ansible_host=127.0.0.9",
            Some("box-2 is at 127.0.0.9 in the inventory, and at 127.0.0.1 in the plan"),
        ),
        (
            "ansible_host=127.0.0.1 ansible_port=2222",
            Some("box-2 is at port 2222 in the inventory, and at 22 in the plan"),
        ),
        (
            "ansible_ssh_host=127.0.0.9",
            Some("box-2 is at 127.0.0.9 in the inventory, and at 127.0.0.1 in the plan"),
        ),
        ("", Some("box-2 is at box-2 in the inventory, and at 127.0.0.1 in the plan")),
        (
            "ansible_host=127.0.0.1 ansible_ssh_port=2222",
            Some("box-2 is at port 2222 in the inventory, and at 22 in the plan"),
        ),
        ("at=127.0.0.1 ansible_host='{{ at }}'", None),
    ] {
        playing.place.write("hosts.ini", &format!("box-1 ansible_host=localhost\nbox-2 {entry}\n"));
        let exit = if words.is_some() { 10 } else { 0 };
        playing.run(&["run", "play.yaml"]).exits(exit);
        let show = playing.run(&["show", "--json"]).exits(0).json();
        for host in ["box-1", "box-2"] {
            let cause = show["targets"][host]["cause"].as_str().unwrap_or_default();
            assert!(cause.contains(words.unwrap_or_default()), "{host}: {cause}");
        }
        assert_eq!(playing.place.path("touched").exists(), words.is_none());
    }
}
