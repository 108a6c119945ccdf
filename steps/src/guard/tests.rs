use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use uuid::Uuid;

use super::{Verdict, verdict, wrap};

/// A machine: a folder for the guard, a folder to work in, and a shell.
struct Machine {
    shell: &'static str,
    root: TempDir,
}

impl Machine {
    fn new(shell: &'static str) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(root.path().join("work")).expect("a working folder");
        Self { shell, root }
    }

    fn command(&self, script: &str) -> Command {
        self.command_of(token(), script)
    }

    fn command_of(&self, token: Uuid, script: &str) -> Command {
        let mut command = Command::new(self.shell);
        command
            .args(["-c", &wrap(token, script)])
            .current_dir(self.work())
            .env_remove("AWS_SSM_INSTANCE_ID")
            .env("INSTANCE_ID", "i-0123456789abcdef0")
            .env("RUNBOOK_GUARD_ROOT", self.root.path().join("guard"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, script: &str) -> Output {
        self.command(script).output().expect("the shell starts")
    }

    fn start(&self, script: &str) -> Child {
        self.command(script).spawn().expect("the shell starts")
    }

    fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("guard/i-0123456789abcdef0").join(token().to_string())
    }

    fn count(&self) -> usize {
        fs::read_to_string(self.work().join("count")).map_or(0, |text| text.lines().count())
    }
}

fn token() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, b"one execution")
}

fn shells() -> impl Iterator<Item = &'static str> {
    ["sh", "dash", "bash"].into_iter().filter(|shell| Command::new(shell).args(["-c", ":"]).status().is_ok())
}

fn wait_for(path: &Path) {
    let end = Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(Instant::now() < end, "{} did not appear", path.display());
        std::thread::yield_now();
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_script_keeps_its_folder_environment_umask_output_and_exit_code() {
    for shell in shells() {
        let machine = Machine::new(shell);
        let script = "pwd\numask\nenv | grep -c rbg_\necho \"$GREETING $0\" | sed 's/ .*script$/ script/'\nprintf '%s\\n' 'two  spaces $HOME \\\\ %s'\necho trouble >&2\nexit 3";
        let bare = Command::new("sh")
            .args(["-c", "umask"])
            .output()
            .map(|out| text(&out.stdout).trim().to_owned())
            .expect("sh starts");
        let out = machine.command(script).env("GREETING", "hello").output().expect("the shell starts");
        assert_eq!(
            text(&out.stdout),
            format!("{}\n{bare}\n0\nhello script\ntwo  spaces $HOME \\\\ %s\n", machine.work().display()),
            "{shell}"
        );
        assert_eq!(text(&out.stderr), "trouble\n");
        assert_eq!(out.status.code(), Some(3));
        assert_eq!(verdict(3, text(&out.stderr)), None);
    }
}

#[test]
fn a_script_runs_under_its_own_interpreter() {
    let machine = Machine::new("sh");
    let out = machine.run("#!/usr/bin/env -S awk -f\nBEGIN { print 6 * 7 }");
    assert_eq!((text(&out.stdout), text(&out.stderr)), ("42\n", ""));
}

#[test]
fn a_later_delivery_repeats_the_result_and_runs_nothing() {
    for shell in shells() {
        let machine = Machine::new(shell);
        let script = "echo x >>count; echo out; echo err >&2; exit 7";
        let first = machine.run(script);
        let second = machine.run(script);
        assert_eq!(first, second);
        assert_eq!((second.status.code(), machine.count()), (Some(7), 1), "{shell}");
    }
}

#[test]
fn a_doubled_delivery_waits_for_the_first_one() {
    for shell in shells() {
        let machine = Machine::new(shell);
        let script = "echo x >>count; while [ ! -e go ]; do sleep 0.05; done; echo done; exit 4";
        let deliveries: Vec<Child> = (0..4).map(|_| machine.start(script)).collect();
        wait_for(&machine.work().join("count"));
        fs::write(machine.work().join("go"), "").expect("a file");
        for delivery in deliveries {
            let out = delivery.wait_with_output().expect("it ends");
            assert_eq!((text(&out.stdout), out.status.code()), ("done\n", Some(4)), "{shell}");
        }
        assert_eq!(machine.count(), 1, "{shell}");
    }
}

#[test]
fn a_script_whose_end_nobody_saw_is_interrupted_and_not_repeated() {
    for shell in shells() {
        let machine = Machine::new(shell);
        // The script kills the shell that would have kept its result, as a crash of the machine does.
        let script = "echo x >>count; echo half; kill -9 $PPID";
        assert_eq!(machine.run(script).status.code(), None);
        let second = machine.run(script);
        assert_eq!(second.status.code(), Some(75), "{shell}");
        assert_eq!(text(&second.stdout), "half\n");
        assert_eq!(verdict(75, text(&second.stderr)), Some(Verdict::Interrupted));
        assert_eq!(machine.count(), 1, "{shell}");
    }
}

#[test]
fn a_script_that_outlives_its_shell_is_still_waited_for() {
    let machine = Machine::new("sh");
    let script = "kill -9 $PPID; while [ ! -e go ]; do sleep 0.05; done; echo late";
    assert_eq!(machine.run(script).status.code(), None);
    let mut second = machine.start(script);
    assert!(second.try_wait().expect("it can be asked").is_none());
    fs::write(machine.work().join("go"), "").expect("a file");
    let out = second.wait_with_output().expect("it ends");
    assert_eq!((text(&out.stdout), out.status.code()), ("late\n", Some(75)));
}

#[test]
fn a_signal_that_ends_the_script_is_its_result() {
    let machine = Machine::new("sh");
    let script = "echo so far; kill -TERM $$";
    for _ in 0..2 {
        let out = machine.run(script);
        assert_eq!((text(&out.stdout), out.status.code()), ("so far\n", Some(143)));
    }
}

#[test]
fn another_token_and_another_machine_run_for_themselves() {
    let machine = Machine::new("sh");
    let script = "echo x >>count";
    assert!(machine.run(script).status.success());
    let other = machine.command(script).env("AWS_SSM_INSTANCE_ID", "mi-0123456789abcdef0").status();
    assert!(other.expect("the shell starts").success());
    let retry = machine.command_of(Uuid::new_v5(&Uuid::NAMESPACE_URL, b"another"), script).status();
    assert!(retry.expect("the shell starts").success());
    assert_eq!(machine.count(), 3);
}

#[test]
fn an_instance_id_cannot_leave_the_folder() {
    let machine = Machine::new("sh");
    let out = machine
        .command("echo ok")
        .env("AWS_SSM_INSTANCE_ID", "../../x y")
        .output()
        .expect("the shell starts");
    assert_eq!(text(&out.stdout), "ok\n");
    assert!(machine.root.path().join("guard/.._.._x_y").join(token().to_string()).is_dir());
}

#[test]
fn a_script_that_asks_for_a_reboot_runs_again_after_it_and_only_then() {
    let machine = Machine::new("sh");
    let script = "echo x >>count; [ -e rebooted ] || exit 194; echo up";
    for _ in 0..2 {
        assert_eq!(machine.run(script).status.code(), Some(194));
    }
    assert_eq!(machine.count(), 1);
    // As after the reboot: the boot id that the guard wrote down is an old one.
    fs::write(machine.folder().join("reboot.1"), "an-old-boot\n").expect("a file");
    fs::write(machine.work().join("rebooted"), "").expect("a file");
    for _ in 0..2 {
        let out = machine.run(script);
        assert_eq!((text(&out.stdout), out.status.code()), ("up\n", Some(0)));
    }
    assert_eq!(machine.count(), 2);
}

#[test]
fn a_machine_without_room_for_the_claim_does_not_start_the_script() {
    let machine = Machine::new("sh");
    fs::write(machine.root.path().join("guard"), "a file where the folder should be").expect("a file");
    let out = machine.run("echo x >>count");
    assert_eq!(out.status.code(), Some(73));
    assert_eq!(verdict(73, text(&out.stderr)), Some(Verdict::NotStarted));
    assert_eq!(machine.count(), 0);
}

#[test]
fn a_script_that_holds_the_guards_own_marks_is_left_alone() {
    let machine = Machine::new("sh");
    let end = format!("RBG_END_{}", token().simple());
    let out = machine.run(&format!("cat <<'X'\n{end}\n{end}_\n@SCRIPT@ @TOKEN@ @END@\nX"));
    assert_eq!(text(&out.stdout), format!("{end}\n{end}_\n@SCRIPT@ @TOKEN@ @END@\n"));
}

#[test]
fn heredocs_quotes_and_odd_characters_arrive_as_they_are() {
    for shell in shells() {
        let machine = Machine::new(shell);
        let script = "x='it'\\''s'\ncat <<EOF\n$x \"quoted\" \\$HOME `echo ran`\nEOF\ncat <<'EOF'\n$x \\ % ä\tEOF\nEOF\nprintf %s \"$(printf 'a\\tb')\"";
        let bare = Command::new("sh").args(["-c", script]).output().expect("sh starts");
        let out = machine.run(script);
        assert_eq!(text(&out.stdout), text(&bare.stdout), "{shell}");
        assert!(text(&bare.stdout).starts_with("it's \"quoted\" $HOME ran\n$x \\ % ä\tEOF\na\tb"));
    }
}

#[test]
fn output_of_any_bytes_is_repeated_as_it_was() {
    for shell in shells() {
        let machine = Machine::new(shell);
        let script = "printf 'a\\000b\\377\\r\\n\\n'; printf 'no line end' >&2";
        let (first, second) = (machine.run(script), machine.run(script));
        assert_eq!(first.stdout, b"a\0b\xff\r\n\n", "{shell}");
        assert_eq!((&first.stderr[..], first.status.code()), (&b"no line end"[..], Some(0)));
        assert_eq!(first, second);
    }
}

#[test]
fn an_empty_script_and_one_that_is_wrong_have_results_too() {
    for shell in shells() {
        let machine = Machine::new(shell);
        assert_eq!(machine.run("").status.code(), Some(0), "{shell}");
        let other = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"wrong");
        let out = machine.command_of(other, "if then (").output().expect("the shell starts");
        let again = machine.command_of(other, "if then (").output().expect("the shell starts");
        assert_eq!((out.status.code(), &out), (Some(2), &again));
    }
}

#[test]
fn what_the_guard_keeps_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let machine = Machine::new("sh");
    assert!(machine.run("echo private").status.success());
    for entry in fs::read_dir(machine.folder()).expect("the folder").flatten() {
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", entry.path().display());
    }
}
