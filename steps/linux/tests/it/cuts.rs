//! At whatever byte the connection is cut, or we are killed: a job runs once.

use std::{
    env,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use runbook_engine::{connection::Connection, target::Target};
use runbook_linux::{Hosts, Places};
use runbook_steps::ports::{
    fault::FaultKind,
    linux::{Job, Linux, Progress},
};

use crate::{
    jobs::{ended, script},
    proxy::{Proxy, Then},
    sshd::{Sshd, kill, look, seen, target, wait_for},
};

/// At how many places it is cut.
const PLACES: usize = 8;

/// Through a proxy.
fn through(sshd: &Sshd, proxy: &Proxy) -> Target {
    target("web1", Connection { port: Some(proxy.port()), ..known_as(sshd) })
}

/// The host key is known for the server's port, not for the proxy's.
fn known_as(sshd: &Sshd) -> Connection {
    let text = sshd.text("ssh.conf");
    if !text.contains("HostKeyAlias") {
        std::fs::write(sshd.at("ssh.conf"), format!("{text}HostKeyAlias web\n")).expect("a configuration");
        std::fs::write(sshd.at("known"), format!("web {}", sshd.text("host.pub"))).expect("known hosts");
    }
    sshd.connection()
}

fn counting(sshd: &Sshd, number: usize) -> Job {
    let token = format!("cut-{number}");
    Job { token, exclusive: true, ..script(sshd, &format!("echo x >>count-{number}; exit 3")) }
}

/// How many bytes pass until we are connected, and until a job is started by who was not.
async fn bytes(sshd: &Sshd) -> (usize, usize) {
    let proxy = || Proxy::new(sshd.port(), usize::MAX, Then::Cut);
    let (first, second) = (proxy(), proxy());
    sshd.hosts().boot(&through(sshd, &first)).await.expect("it answers");
    sshd.hosts().start(&through(sshd, &second), &counting(sshd, 999)).await.expect("it starts");
    (first.passed() / 2, second.passed())
}

/// Where the connection is cut: from the middle of the way to be connected to the end of a start.
fn places((from, to): (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    (0..PLACES).map(move |number| (number, from + (to - from) * number / (PLACES - 1)))
}

/// Whoever comes later starts the job once more, and it has run once.
async fn once(sshd: &Sshd, number: usize) {
    let (hosts, host) = (sshd.hosts(), target("web1", known_as(sshd)));
    let job = counting(sshd, number);
    let before = hosts.progress(&host, &job.token).await.expect("it is told");
    assert!(!matches!(before, Progress::Lost { .. }), "place {number}: {before:?}");
    hosts.start(&host, &job).await.expect("it starts, or was started");
    let end = ended(&hosts, &host, &job.token).await;
    assert_eq!((end.code, sshd.text(&format!("work/count-{number}")).as_str()), (3, "x\n"), "place {number}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_connection_is_cut_a_job_runs_once() {
    let sshd = Sshd::start();
    let mut faults = 0;
    for (number, limit) in places(bytes(&sshd).await) {
        let proxy = Proxy::new(sshd.port(), limit, Then::Cut);
        let result = sshd.hosts().start(&through(&sshd, &proxy), &counting(&sshd, number)).await;
        if let Err(fault) = result {
            let kind = fault.kind;
            assert!(matches!(kind, FaultKind::NotSent | FaultKind::Ambiguous), "{number}: {fault:?}");
            let ran = !sshd.text(&format!("work/count-{number}")).is_empty();
            assert!(!(kind == FaultKind::NotSent && ran), "place {number} was sent");
            faults += 1;
        }
        once(&sshd, number).await;
    }
    assert!(faults >= PLACES / 2, "{faults}");
}

/// A process of its own that starts a job, where it is asked to: so that it can be killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_life_that_can_be_ended() {
    let Ok(life) = env::var("RUNBOOK_TEST_LIFE") else { return };
    let (job, port, root): (usize, u16, String) = serde_json::from_str(&life).expect("what to do");
    let at = |name: &str| format!("{root}/{name}");
    let places = Places { state: at("state"), boot: at("boot"), systemd: at("systemd"), path: at("bin") };
    let hosts = Hosts::new().in_folder(Some(at("run").into())).with_places(places);
    let connection = Connection { port: Some(port), config: Some(at("ssh.conf")), ..Connection::default() };
    let text = format!("cd {root}/work\necho x >>count-{job}; exit 3");
    let mut wanted = crate::jobs::job(
        &format!("cut-{job}"),
        runbook_steps::ports::linux::Deed::Script {
            script: text,
            env: std::collections::BTreeMap::new(),
            as_root: true,
            looks_for: None,
        },
    );
    wanted.exclusive = true;
    let host = target("web1", connection);
    hosts.start(&host, &wanted).await.expect("it starts");
    // Until it is killed, or nobody reads.
    let _ = hosts.look(&host, &look("sleep 30")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_we_are_killed_a_job_runs_once_and_no_connection_is_left() {
    let sshd = Sshd::start();
    for (number, limit) in places(bytes(&sshd).await) {
        let life: Arc<Mutex<Option<u32>>> = Arc::default();
        let victim = Arc::clone(&life);
        let deed = move || victim.lock().expect("a number").into_iter().for_each(kill);
        let proxy = Proxy::new(sshd.port(), limit, Then::Do(Arc::new(deed)));
        through(&sshd, &proxy);
        let what = serde_json::json!([number, proxy.port(), sshd.at("").display().to_string()]);
        let mut child = {
            // The proxy waits for its number.
            let mut life = life.lock().expect("a number");
            let child = Command::new(env::current_exe().expect("this program"))
                .args(["--exact", "cuts::a_life_that_can_be_ended"])
                .env("RUNBOOK_TEST_LIFE", what.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            *life = Some(child.id());
            child
        };
        let ended = tokio::task::block_in_place(|| child.wait()).expect("it ends");
        assert!(!ended.success(), "place {number}: it was killed");
        tokio::task::block_in_place(|| wait_for("its connection ends", || sshd.masters().is_empty()));
        once(&sshd, number).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_falls_silent_is_a_fault_within_its_deadline() {
    let sshd = Sshd::start();
    let proxy = Proxy::new(sshd.port(), usize::MAX, Then::Silence);
    let host = through(&sshd, &proxy);
    let hosts = sshd.hosts().patient_for(Duration::from_secs(10));
    assert_eq!(seen(&hosts, &host, "exit 1").await.code, Some(1));
    proxy.stop();
    let fault = hosts.look(&host, &look("exit 2")).await.expect_err("it is silent");
    assert_eq!(fault.kind, FaultKind::NotSent);
    assert!(fault.message.contains("is silent"), "{}", fault.message);
    // The next call does not wait for the same connection, and finds that nobody can be reached.
    let fault = hosts.look(&host, &look("exit 2")).await.expect_err("it is silent");
    assert_eq!(fault.kind, FaultKind::NotSent);
    assert!(fault.message.contains("timed out"), "{}", fault.message);
}
