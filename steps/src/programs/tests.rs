use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Programs, outputs_folder};
use crate::ports::process::{Ended, Process, Program, Progress};

const TOKEN: &str = "0f6e6b0c-0000-5000-8000-000000000001";

/// A machine with a state folder, memory of its own for outputs, and a folder to work in.
struct Machine {
    state: TempDir,
    memory: TempDir,
    work: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = || tempfile::tempdir().expect("a temporary folder");
        Self { state: folder(), memory: folder(), work: folder() }
    }

    /// As a process finds it that has just begun its life.
    fn programs(&self) -> Programs {
        let mut programs = Programs::new(self.claims(), self.memory.path().join("outputs"));
        programs.grace = Duration::from_millis(100);
        programs
    }

    fn claims(&self) -> PathBuf {
        self.state.path().join("programs")
    }

    /// What was written before the start: the word, the boot id, and the output.
    fn start(&self) -> Vec<String> {
        let start = fs::read_to_string(self.claims().join(TOKEN).with_extension("start"));
        start.expect("what was written before the start").lines().map(str::to_owned).collect()
    }

    fn kept(&self, ending: &str) -> PathBuf {
        match ending {
            "start" => self.claims().join(TOKEN).with_extension(ending),
            _ => self.claims().join(TOKEN).with_extension(format!("{}.{ending}", self.start()[0])),
        }
    }

    /// Whether the shell has written its claim.
    fn is_claimed(&self) -> bool {
        self.kept("start").exists() && self.kept("claim").exists()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn script(&self, script: &str) -> Program {
        let work = self.work.path().display().to_string();
        Program {
            token: TOKEN.to_owned(),
            command: vec!["/bin/sh".to_owned(), "-c".to_owned(), format!("cd \"$WORK\"; {script}")],
            env: BTreeMap::from([("WORK".to_owned(), work)]),
            looks_for: None,
        }
    }

    fn count(&self) -> usize {
        fs::read_to_string(self.file("count")).map_or(0, |text| text.lines().count())
    }
}

async fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn end_of(programs: &Programs) -> Progress {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match programs.progress(TOKEN).await.expect("it can be asked") {
            Progress::Running => assert!(Instant::now() < end, "it does not end"),
            other => return other,
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn ended(programs: &Programs) -> Ended {
    match end_of(programs).await {
        Progress::Ended(ended) => ended,
        other => panic!("it is {other:?}"),
    }
}

/// Everything that lies in files below a folder.
fn contents(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        all.push_str(&path.display().to_string());
        if path.is_dir() {
            all.push_str(&contents(&path));
        } else {
            all.push_str(&String::from_utf8_lossy(&fs::read(&path).expect("a readable file")));
        }
    }
    all
}

#[tokio::test]
async fn a_program_gives_its_output_and_its_exit_code() {
    let machine = Machine::new();
    let programs = machine.programs();
    assert_eq!(programs.progress(TOKEN).await, Ok(Progress::Absent));
    programs.start(machine.script("echo out; echo err >&2; exit 3")).await.expect("it starts");
    let ended = ended(&programs).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (3, "out\n", "err\n"));
    assert!(ended.ended_at.is_some());
}

#[tokio::test]
async fn a_command_runs_without_a_shell() {
    let machine = Machine::new();
    let programs = machine.programs();
    let command = ["printf", "%s|", "two  spaces", "$HOME", "`x`", ""].map(str::to_owned).to_vec();
    programs.start(Program { command, ..machine.script("") }).await.expect("it starts");
    assert_eq!(ended(&programs).await.stdout, "two  spaces|$HOME|`x`||");
}

#[tokio::test]
async fn what_a_shell_would_do_itself_is_no_program() {
    let machine = Machine::new();
    let programs = machine.programs();
    let command = vec!["exit".to_owned(), "0".to_owned()];
    programs.start(Program { command, ..machine.script("") }).await.expect("it starts");
    assert_eq!(ended(&programs).await.code, 127);
}

#[tokio::test]
async fn a_second_start_is_none() {
    let machine = Machine::new();
    let programs = machine.programs();
    let script = "echo x >>count; while [ ! -e go ]; do sleep 0.01; done; echo done";
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let (programs, program) = (machine.programs(), machine.script(script));
            tokio::spawn(async move { programs.start(program).await })
        })
        .collect();
    for start in starts {
        start.await.expect("no panic").expect("it starts, or is running");
    }
    wait_for("its first sign of life", || machine.count() > 0).await;
    programs.start(machine.script(script)).await.expect("it is running");
    fs::write(machine.file("go"), "").expect("a file");
    assert_eq!(ended(&programs).await.stdout, "done\n");
    programs.start(machine.script(script)).await.expect("it has ended");
    assert_eq!((ended(&programs).await.stdout.as_str(), machine.count()), ("done\n", 1));
}

#[tokio::test]
async fn a_later_life_finds_it_running_and_waits_for_it() {
    let machine = Machine::new();
    machine
        .programs()
        .start(machine.script("while [ ! -e go ]; do sleep 0.01; done; exit 4"))
        .await
        .expect("it starts");
    let later = machine.programs();
    wait_for("the claim", || machine.is_claimed()).await;
    assert_eq!(later.progress(TOKEN).await, Ok(Progress::Running));
    assert!(later.forget(TOKEN).await.is_err());
    fs::write(machine.file("go"), "").expect("a file");
    assert_eq!(ended(&later).await.code, 4);
}

#[tokio::test]
async fn it_runs_in_a_session_of_its_own() {
    let machine = Machine::new();
    let programs = machine.programs();
    let session = "sed 's/^.*) //' /proc/self/stat | cut -d ' ' -f 4";
    programs.start(machine.script(session)).await.expect("it starts");
    let theirs = ended(&programs).await.stdout;
    // Read from the same place: in a process namespace whose session began outside of it, ours is 0.
    let stat = fs::read_to_string("/proc/self/stat").expect("our own line");
    let ours = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(3));
    assert_ne!(Some(theirs.trim()), ours);
    assert_ne!(theirs.trim(), "0");
}

#[tokio::test]
async fn what_it_leaves_behind_does_not_hold_it() {
    let machine = Machine::new();
    let programs = machine.programs();
    programs.start(machine.script("sleep 1000 & echo $! >child; echo up")).await.expect("it starts");
    assert_eq!(ended(&programs).await.stdout, "up\n");
    let child =
        fs::read_to_string(machine.file("child")).expect("a number").trim().parse().expect("a number");
    kill_process(Pid::from_raw(child).expect("a process"), Signal::KILL).expect("it ends");
}

#[tokio::test]
async fn killing_asks_first_and_then_insists() {
    for (script, code) in [
        ("echo x >count; exec sleep 1000", 143),
        ("trap 'exit 9' TERM; echo x >count; while :; do sleep 0.01; done", 9),
        ("trap '' TERM; echo x >count; while :; do sleep 0.01; done", 137),
    ] {
        let machine = Machine::new();
        let programs = machine.programs();
        programs.start(machine.script(script)).await.expect("it starts");
        wait_for("its first sign of life", || machine.count() > 0).await;
        // Also by a life that did not start it.
        machine.programs().kill(TOKEN).await.expect("it can be killed");
        assert_eq!(ended(&programs).await.code, code, "{script}");
    }
}

#[tokio::test]
async fn killing_what_does_not_run_does_nothing() {
    let machine = Machine::new();
    let programs = machine.programs();
    programs.kill(TOKEN).await.expect("nothing to do");
    programs.start(machine.script("exit 0")).await.expect("it starts");
    assert_eq!(ended(&programs).await.code, 0);
    programs.kill(TOKEN).await.expect("nothing to do");
    assert_eq!(ended(&programs).await.code, 0);
}

#[tokio::test]
async fn a_program_whose_end_nobody_saw_is_lost_and_not_repeated() {
    let machine = Machine::new();
    let programs = machine.programs();
    let script = "echo x >>count; kill -9 $PPID; while [ ! -e go ]; do sleep 0.01; done";
    programs.start(machine.script(script)).await.expect("it starts");
    wait_for("its first sign of life", || machine.count() > 0).await;
    assert_eq!(programs.progress(TOKEN).await, Ok(Progress::Running));
    fs::write(machine.file("go"), "").expect("a file");
    assert_eq!(end_of(&programs).await, Progress::Lost);
    programs.start(machine.script(script)).await.expect("it has been started");
    assert_eq!((programs.progress(TOKEN).await, machine.count()), (Ok(Progress::Lost), 1));
}

#[tokio::test]
async fn after_a_reboot_only_a_result_is_trusted() {
    let machine = Machine::new();
    let programs = machine.programs();
    programs.start(machine.script("echo x >>count; exit 5")).await.expect("it starts");
    assert_eq!(ended(&programs).await.code, 5);
    let [word, _, output] = machine.start().try_into().expect("three lines");
    fs::write(machine.kept("start"), format!("{word}\nanother-boot\n{output}\n")).expect("a file");
    assert_eq!(ended(&programs).await.code, 5);
    for gone in ["code", "claim"] {
        fs::remove_file(machine.kept(gone)).expect("a file");
        programs.start(machine.script("echo x >>count")).await.expect("it may have been started");
        assert_eq!((programs.progress(TOKEN).await, machine.count()), (Ok(Progress::Lost), 1));
    }
}

#[tokio::test]
async fn a_start_that_did_not_come_to_the_claim_is_repeated() {
    let machine = Machine::new();
    let programs = machine.programs();
    programs.start(machine.script("echo x >>count")).await.expect("it starts");
    ended(&programs).await;
    for gone in ["code", "claim"] {
        fs::remove_file(machine.kept(gone)).expect("a file");
    }
    // The shell of the first one may still be about to exit: only a later life takes it for gone.
    let later = machine.programs();
    assert_eq!(later.progress(TOKEN).await, Ok(Progress::Absent));
    later.start(machine.script("echo x >>count")).await.expect("it starts");
    ended(&later).await;
    assert_eq!(machine.count(), 2);
}

#[tokio::test]
async fn a_shell_that_comes_after_everything_was_forgotten_runs_nothing() {
    let machine = Machine::new();
    let programs = machine.programs();
    let program = machine.script("echo x >>count");
    programs.start(program.clone()).await.expect("it starts");
    ended(&programs).await;
    let word = machine.start().swap_remove(0);
    let late = || {
        let path = machine.claims().join(TOKEN);
        let mut late = std::process::Command::new("sh");
        late.args(["-c", super::SUPERVISOR]).arg(path).arg(&word).args(&program.command).envs(&program.env);
        assert!(late.status().expect("it comes").success());
    };
    late();
    programs.forget(TOKEN).await.expect("it can be forgotten");
    late();
    assert_eq!(machine.count(), 1);
    assert_eq!(contents(machine.state.path()), machine.claims().display().to_string());
    // Nor does it take the place of a later start.
    programs.start(machine.script("echo x >>count; exit 6")).await.expect("it starts");
    late();
    assert_eq!((ended(&programs).await.code, machine.count()), (6, 2));
}

#[tokio::test]
async fn a_result_that_was_cut_short_is_none() {
    let machine = Machine::new();
    let programs = machine.programs();
    programs.start(machine.script("exit 12")).await.expect("it starts");
    assert_eq!(ended(&programs).await.code, 12);
    fs::write(machine.kept("code"), "1").expect("a file");
    // The shell may still be about to exit.
    assert_eq!(end_of(&programs).await, Progress::Lost);
}

#[tokio::test]
async fn secrets_reach_the_program_and_no_file_of_the_state_folder() {
    let machine = Machine::new();
    let programs = machine.programs();
    let mut program = machine.script("echo \"it is $SECRET\"; echo \"$SECRET\" >&2");
    program.env.insert("SECRET".to_owned(), "correct-horse".to_owned());
    programs.start(program).await.expect("it starts");
    assert_eq!(ended(&programs).await.stdout, "it is correct-horse\n");
    assert!(!contents(machine.state.path()).contains("correct-horse"));
    assert!(contents(machine.memory.path()).contains("correct-horse"));
    programs.forget(TOKEN).await.expect("it can be forgotten");
    assert_eq!(programs.progress(TOKEN).await, Ok(Progress::Absent));
    assert!(!contents(machine.memory.path()).contains(TOKEN));
    assert!(!contents(machine.state.path()).contains(TOKEN));
    programs.forget(TOKEN).await.expect("twice is no error");
    assert!(!machine.memory.path().join("outputs").exists());
}

#[tokio::test]
async fn only_the_beginning_of_a_large_output_is_kept() {
    let machine = Machine::new();
    let programs = machine.programs();
    let script = "printf 'begin \\377'; yes ä | head -c 4000000; echo x >count; while [ ! -e go ]; do sleep 0.01; done";
    programs.start(machine.script(script)).await.expect("it starts");
    wait_for("its output", || machine.count() > 0).await;
    assert_eq!(programs.progress(TOKEN).await, Ok(Progress::Running));
    let output = machine.memory.path().join("outputs").join(TOKEN).with_extension("out");
    let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(output).expect("the output"));
    assert!(blocks * 512 < 1_000_000, "{blocks} blocks are kept");
    fs::write(machine.file("go"), "").expect("a file");
    let stdout = ended(&programs).await.stdout;
    assert!(stdout.starts_with("begin \u{fffd}ä\nä"));
    assert_eq!(stdout.chars().count(), 24_000);
}

#[tokio::test]
async fn what_cannot_be_started_did_not_run() {
    let machine = Machine::new();
    let programs = machine.programs();
    let mut program = machine.script("echo x >>count");
    program.env.insert("NUL".to_owned(), "a\0b".to_owned());
    assert!(programs.start(program).await.is_err());
    assert_eq!(programs.progress(TOKEN).await, Ok(Progress::Absent));
    let program = Program { token: "../escape".to_owned(), ..machine.script("echo x >>count") };
    assert!(programs.start(program).await.is_err());
    assert_eq!(machine.count(), 0);
}

#[tokio::test]
async fn outputs_are_refused_a_folder_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;

    let machine = Machine::new();
    let folder = machine.memory.path().join("outputs");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("open to all");
    let why = machine.programs().start(machine.script("echo x >>count")).await;
    assert!(why.is_err_and(|not| not.why.contains("not private to this user")));
    assert_eq!(machine.count(), 0);
}

#[test]
fn the_folder_of_outputs_is_the_same_in_every_life_and_not_below_the_state_folder() {
    let machine = Machine::new();
    let one = outputs_folder(machine.state.path(), None);
    assert_eq!(one, outputs_folder(&machine.state.path().join("."), None));
    assert_ne!(one, outputs_folder(machine.work.path(), None));
    assert!(!one.starts_with(machine.state.path()));
}

#[tokio::test]
async fn a_program_does_not_see_what_is_withheld() {
    let machine = Machine::new();
    // `HOME` stands for a secret: the tests' own environment has it.
    let programs = machine.programs().withholding(["HOME".to_owned()]);
    programs.start(machine.script("echo home=$HOME path=${PATH:+set}")).await.expect("it starts");
    assert_eq!(ended(&programs).await.stdout, "home= path=set\n");
}
