//! Jobs: at most once, whatever happens to us, to the connection, and to each other.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use runbook_engine::target::Target;
use runbook_linux::Hosts;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{Deed, Ended, FileDeed, Job, Linux, Progress, Verdict},
};

use crate::sshd::{Sshd, kill, processes, wait_for};

const TOKEN: &str = "0f6e6b0c-0000-5000-8000-000000000001";

pub fn job(token: &str, deed: Deed) -> Job {
    Job { token: token.to_owned(), run: "7k2m".to_owned(), exclusive: false, deed }
}

/// A job that runs this script in the folder of the test.
pub fn script(sshd: &Sshd, text: &str) -> Job {
    let script = format!("cd {}\n{text}", sshd.at("work").display());
    job(TOKEN, Deed::Script { script, env: BTreeMap::new(), as_root: true, looks_for: None })
}

fn counting(sshd: &Sshd) -> Job {
    script(sshd, "echo x >>count; while [ ! -e go ]; do sleep 0.05; done; echo done; exit 3")
}

fn count(sshd: &Sshd) -> usize {
    sshd.text("work/count").lines().count()
}

fn go(sshd: &Sshd) {
    fs::write(sshd.at("work/go"), "").expect("a file");
}

pub async fn end_of(hosts: &Hosts, host: &Target, token: &str) -> Progress {
    for _ in 0..600 {
        match hosts.progress(host, token).await.expect("it is told") {
            Progress::Running { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            other => return other,
        }
    }
    panic!("it does not end")
}

pub async fn ended(hosts: &Hosts, host: &Target, token: &str) -> Ended {
    match end_of(hosts, host, token).await {
        Progress::Ended(ended) => ended,
        other => panic!("it is {other:?}"),
    }
}

async fn done(sshd: &Sshd, job: &Job) -> Ended {
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    hosts.start(&host, job).await.expect("it starts");
    ended(&hosts, &host, &job.token).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gives_its_words_its_exit_code_and_its_time() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    assert_eq!(hosts.progress(&host, TOKEN).await, Ok(Progress::Absent));
    let ended = done(&sshd, &script(&sshd, "echo out; echo bad >&2; cat; exit 3")).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (3, "out\n", "bad\n"));
    assert_eq!((ended.verdict, ended.cause.as_str()), (Verdict::Failed, "exit code 3: bad"));
    let now = jiff::Timestamp::now().as_second();
    assert!(ended.ended_at.is_some_and(|at| (now - 600..=now).contains(&at.as_second())));
    hosts.forget(&host, TOKEN).await.expect("it is forgotten");
    assert_eq!(hosts.progress(&host, TOKEN).await, Ok(Progress::Absent));
    assert!(!sshd.at("state/jobs").join(TOKEN).exists());
    // A start that was on its way for long finds that it was there.
    let fault = hosts.start(&host, &counting(&sshd)).await.expect_err("it is over");
    assert_eq!((fault.kind, count(&sshd)), (FaultKind::Invalid, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_again_and_at_once_starts_once() {
    let sshd = Sshd::start();
    let job = Arc::new(counting(&sshd));
    let starts: Vec<_> = (0..6)
        .map(|_| {
            // Each from a life of its own.
            let (hosts, host, job) = (sshd.hosts(), sshd.host(1), Arc::clone(&job));
            tokio::spawn(async move { hosts.start(&host, &job).await })
        })
        .collect();
    for start in starts {
        start.await.expect("no panic").expect("it starts, or runs");
    }
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    hosts.start(&host, &job).await.expect("it runs");
    assert_eq!(hosts.progress(&host, TOKEN).await, Ok(Progress::Running { last: None }));
    let fault = hosts.forget(&host, TOKEN).await.expect_err("it runs");
    assert_eq!(fault.kind, FaultKind::Busy);
    go(&sshd);
    assert_eq!(ended(&hosts, &host, TOKEN).await.stdout, "done\n");
    hosts.start(&host, &job).await.expect("it has ended");
    assert_eq!((ended(&hosts, &host, TOKEN).await.code, count(&sshd)), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_its_connection_and_is_found_again() {
    let sshd = Sshd::start();
    let host = sshd.host(1);
    let hosts = sshd.hosts();
    hosts.start(&host, &counting(&sshd)).await.expect("it starts");
    // The connection breaks, and the process that made it is gone.
    sshd.masters().into_iter().for_each(kill);
    drop(hosts);
    let later = sshd.hosts();
    assert_eq!(later.progress(&host, TOKEN).await, Ok(Progress::Running { last: None }));
    go(&sshd);
    assert_eq!((ended(&later, &host, TOKEN).await.code, count(&sshd)), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_leaves_behind_does_not_hold_it() {
    let sshd = Sshd::start();
    let mut leaving = script(&sshd, "sleep 1000 & echo $!");
    leaving.exclusive = true;
    let daemon = done(&sshd, &leaving).await.stdout;
    // Nor does it hold the lock.
    let next = Job { token: "t2".to_owned(), ..leaving.clone() };
    let other = done(&sshd, &next).await.stdout;
    kill(daemon.trim().parse().expect("a number"));
    kill(other.trim().parse().expect("a number"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_jobs_that_change_a_host_the_second_is_refused_and_may_come_later() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let first = Job { exclusive: true, ..counting(&sshd) };
    let second = Job {
        token: "t2".to_owned(),
        run: "9xyz".to_owned(),
        exclusive: true,
        ..script(&sshd, "echo second >>count")
    };
    hosts.start(&host, &first).await.expect("it starts");
    // From another runner.
    let fault = sshd.hosts().start(&host, &second).await.expect_err("it is held");
    assert_eq!(fault.kind, FaultKind::Busy);
    assert!(fault.message.contains("held by run 7k2m"), "{}", fault.message);
    assert_eq!(hosts.progress(&host, "t2").await, Ok(Progress::Absent));
    // Starting the first again is no second one; and what only looks is not held up.
    hosts.start(&host, &first).await.expect("it runs");
    let looking = Job { token: "t3".to_owned(), ..script(&sshd, "exit 0") };
    hosts.start(&host, &looking).await.expect("it starts");
    assert_eq!(ended(&hosts, &host, "t3").await.code, 0);
    go(&sshd);
    ended(&hosts, &host, TOKEN).await;
    hosts.start(&host, &second).await.expect("it starts now");
    ended(&hosts, &host, "t2").await;
    assert_eq!(sshd.text("work/count"), "x\nsecond\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_is_seen_by_the_boot_id() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    hosts.start(&host, &counting(&sshd)).await.expect("it starts");
    fs::write(sshd.at("boot"), "another\n").expect("a boot id");
    assert_eq!(hosts.progress(&host, TOKEN).await, Ok(Progress::Lost { rebooted: true }));
    hosts.start(&host, &counting(&sshd)).await.expect("nothing is done");
    go(&sshd);
    // It runs on: no boot has ended it.
    let code = sshd.at(&format!("state/jobs/{TOKEN}/code"));
    tokio::task::block_in_place(|| wait_for("its result", || code.exists()));
    // A result is a result, in whatever boot it is read.
    assert_eq!((ended(&hosts, &host, TOKEN).await.code, count(&sshd)), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_killed_without_a_result_is_lost() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    hosts
        .start(&host, &script(&sshd, "echo $$ >pid; echo x >>count; exec sleep 1000"))
        .await
        .expect("it starts");
    tokio::task::block_in_place(|| wait_for("it runs", || count(&sshd) == 1));
    let supervisor: u32 = sshd
        .text(&format!("state/jobs/{TOKEN}/claim"))
        .lines()
        .nth(1)
        .and_then(|line| line.split(' ').next()?.parse().ok())
        .expect("its number");
    kill(supervisor);
    // What it ran runs on, and that is all that can be said.
    assert_eq!(hosts.progress(&host, TOKEN).await, Ok(Progress::Running { last: None }));
    kill(sshd.text("work/pid").trim().parse().expect("a number"));
    assert_eq!(end_of(&hosts, &host, TOKEN).await, Progress::Lost { rebooted: false });
    hosts.start(&host, &counting(&sshd)).await.expect("nothing is done");
    assert_eq!(count(&sshd), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_asks_first_and_then_insists_and_takes_the_whole_tree() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let mark = sshd.at("work").display().to_string();
    for (token, text, code) in [
        ("e1", "echo x >>count; exec sleep 1000".to_owned(), 143),
        ("e2", "trap 'exit 9' TERM; echo x >>count; while :; do sleep 0.05; done".to_owned(), 9),
        (
            "e3",
            format!(
                "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo x >>count; sleep 1000; : {mark}'; exit 0"
            ),
            137,
        ),
    ] {
        let before = count(&sshd);
        hosts
            .start(&host, &Job { token: token.to_owned(), ..script(&sshd, &text) })
            .await
            .expect("it starts");
        tokio::task::block_in_place(|| wait_for("it runs", || count(&sshd) > before));
        hosts.end(&host, token).await.expect("it ends");
        assert_eq!(ended(&hosts, &host, token).await.code, code, "{token}");
    }
    assert!(processes(&format!(": {mark}")).is_empty());
    hosts.end(&host, "e1").await.expect("it has ended");
    hosts.end(&host, "never").await.expect("it was never there");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_job_are_in_no_file_and_no_argument() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let mut secret =
        script(&sshd, "while [ ! -e go ]; do sleep 0.05; done; test \"$TOKEN\" = \"hunter${TWO}\"");
    if let Deed::Script { env, .. } = &mut secret.deed {
        env.insert("TOKEN".to_owned(), "hunter2".to_owned());
        env.insert("TWO".to_owned(), "2".to_owned());
    }
    hosts.start(&host, &secret).await.expect("it starts");
    let arguments = processes("hunter2");
    assert!(arguments.is_empty(), "{arguments:?}");
    let mut folders = vec![sshd.at("state")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let text = fs::read(entry.path()).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&text).contains("hunter2"), "{}", entry.path().display());
            }
        }
    }
    go(&sshd);
    assert_eq!(ended(&hosts, &host, TOKEN).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_prints_much_is_told_in_part() {
    let sshd = Sshd::start();
    let text = "echo first; head -c 10000000 /dev/zero | tr '\\0' x; echo; printf '\\377\\0'; echo last >&2";
    let ended = done(&sshd, &script(&sshd, text)).await;
    assert_eq!((ended.code, ended.stdout.chars().count()), (0, 24_000));
    assert!(ended.stdout.starts_with("first\nxxx"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_interpreter_is_given_its_script() {
    let sshd = Sshd::start();
    let text =
        "#!/usr/bin/env python3\nimport sys, os\nprint(os.environ['NAME'], sys.stdin.read())\nsys.exit(5)\n";
    let env = BTreeMap::from([("NAME".to_owned(), "it's".to_owned())]);
    let deed = Deed::Script { script: text.to_owned(), env, as_root: false, looks_for: None };
    let ended = done(&sshd, &job(TOKEN, deed)).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (5, "it's \n", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_systemd_it_is_a_unit_of_its_own() {
    let sshd = Sshd::start();
    fs::create_dir(sshd.at("systemd")).expect("a folder");
    let log = sshd.at("work/units").display().to_string();
    // It starts the command in its own place, as the real one does with a scope.
    sshd.stand_in(
        "systemd-run",
        &format!(
            "echo \"$*\" | head -n 1 | cut -c 1-120 >>{log}\nwhile :; do\ncase $1 in --*) shift ;; *) break ;; esac\ndone\nexec \"$@\""
        ),
    );
    let ended = done(&sshd, &script(&sshd, "exit 4")).await;
    assert_eq!(ended.code, 4);
    let unit =
        format!("--quiet --scope --slice=system.slice --unit=runbook-{TOKEN} --description=runbook 7k2m");
    assert!(sshd.text("work/units").starts_with(&unit), "{}", sshd.text("work/units"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_systemd_refuses_a_unit_it_is_started_without() {
    let sshd = Sshd::start();
    fs::create_dir(sshd.at("systemd")).expect("a folder");
    sshd.stand_in("systemd-run", "echo 'Failed to connect to bus' >&2\nexit 1");
    let ended = done(&sshd, &script(&sshd, "echo x >>count; exit 4")).await;
    assert_eq!((ended.code, count(&sshd)), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_reboots_only_when_the_result_is_written() {
    let sshd = Sshd::start();
    let log = sshd.at("work/reboots");
    let code = sshd.at(&format!("state/jobs/{TOKEN}/code"));
    sshd.stand_in("sleep", "[ $1 = 3 ] && set -- 0.1\nexec /usr/bin/sleep \"$@\"");
    sshd.stand_in("systemctl", &format!("[ -e {} ] && echo \"$*\" >>{}", code.display(), log.display()));
    let ended = done(&sshd, &job(TOKEN, Deed::Reboot)).await;
    assert_eq!((ended.code, ended.verdict), (0, Verdict::Done));
    wait_for("the reboot", || log.exists());
    assert_eq!(sshd.text("work/reboots"), "reboot\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_before_anything_is_begun() {
    let sshd = Sshd::start();
    // A folder that cannot be made stands for one that has no room.
    fs::remove_dir(sshd.at("state")).expect("a folder");
    fs::write(sshd.at("state"), "").expect("a file");
    let fault: Fault = sshd.hosts().start(&sshd.host(1), &counting(&sshd)).await.expect_err("no room");
    assert_eq!((fault.kind, count(&sshd)), (FaultKind::Capacity, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_put_in_its_place_whole() {
    let sshd = Sshd::start();
    let path = sshd.at("work/motd");
    let file = |content: Option<&str>, mode: Option<&str>| {
        Deed::File(FileDeed {
            path: path.display().to_string(),
            content: content.map(str::to_owned),
            mode: mode.map(str::to_owned),
            owner: None,
        })
    };
    let first = done(&sshd, &job("f1", file(Some("it's\n$new\\n"), None))).await;
    assert_eq!(first.told, serde_json::json!({ "changed": true }), "{first:?}");
    assert_eq!(sshd.text("work/motd"), "it's\n$new\\n");
    let again = done(&sshd, &job("f2", file(Some("it's\n$new\\n"), None))).await;
    assert_eq!(again.told["changed"], false);
    let second = done(&sshd, &job("f3", file(Some(""), Some("0600")))).await;
    assert_eq!(second.told["changed"], true);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("it").permissions());
    assert_eq!((sshd.text("work/motd").as_str(), mode & 0o7777), ("", 0o600));
    let gone = done(&sshd, &job("f4", file(None, None))).await;
    assert!(gone.told["changed"] == true && !path.exists());
    let nowhere = FileDeed {
        path: sshd.at("work/none/motd").display().to_string(),
        content: Some("x".to_owned()),
        mode: None,
        owner: None,
    };
    let refused = done(&sshd, &job("f5", Deed::File(nowhere))).await;
    assert_eq!(refused.verdict, Verdict::Refused);
    assert!(refused.cause.contains("there is no folder"), "{}", refused.cause);
    assert_eq!(fs::read_dir(sshd.at("work")).expect("a folder").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_by_no_link_that_others_may_have_made() {
    use std::os::unix::fs::{chown, symlink};
    let sshd = Sshd::start();
    let (theirs, target) = (sshd.at("work/theirs"), sshd.at("work/target"));
    fs::create_dir(&theirs).expect("a folder");
    fs::write(&target, "root's\n").expect("a file");
    symlink(&target, theirs.join("conf")).expect("a link");
    symlink(sshd.at("work"), theirs.join("folder")).expect("a link");
    let file = |path: &str| {
        let path = theirs.join(path).display().to_string();
        let (content, owner) = (Some("ours\n".to_owned()), Some("nobody".to_owned()));
        Deed::File(FileDeed { path, content, mode: None, owner })
    };
    chown(&theirs, Some(65534), None).expect("it is theirs");
    // Nor by one that a link of root's leads to.
    symlink(theirs.join("conf"), sshd.at("work/first")).expect("a link");
    symlink("first", sshd.at("work/second")).expect("a link");
    for (token, path) in [("l1", "conf"), ("l2", "folder/target"), ("l6", "../first"), ("l7", "../second")] {
        let refused = done(&sshd, &job(token, file(path))).await;
        assert_eq!(refused.verdict, Verdict::Refused, "{refused:?}");
        assert!(
            refused.cause.contains("a link in a folder that others than root may write to"),
            "{}",
            refused.cause
        );
    }
    assert_eq!(sshd.text("work/target"), "root's\n");
    let plain = done(&sshd, &job("l3", file("plain"))).await;
    assert_eq!(
        (plain.verdict, sshd.text("work/theirs/plain").as_str()),
        (Verdict::Done, "ours\n"),
        "{plain:?}"
    );
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(theirs.join("plain")).expect("it"));
    assert_eq!(
        (owner, fs::read_dir(&theirs).expect("a folder").count()),
        (65534, 3),
        "nothing is left beside it"
    );

    // Where the folder is root's its links are the administrator's.
    chown(&theirs, Some(0), None).expect("it is root's");
    let through = done(&sshd, &job("l4", file("conf"))).await;
    assert_eq!(
        (through.verdict, sshd.text("work/target").as_str()),
        (Verdict::Done, "ours\n"),
        "{through:?}"
    );
    assert!(theirs.join("conf").is_symlink());
    fs::write(&target, "root's\n").expect("a file");
    let hops = done(&sshd, &job("l5", file("../second"))).await;
    assert_eq!((hops.verdict, sshd.text("work/target").as_str()), (Verdict::Done, "ours\n"), "{hops:?}");
}
