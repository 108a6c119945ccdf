//! Connections: how many there are, when they end, and what is wrong with them.

use std::{fs, net::TcpListener, sync::Arc};

use runbook_engine::{connection::Connection, target::Target};
use runbook_linux::Hosts;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::Linux,
};

use crate::sshd::{Sshd, free_port, kill, look, seen, target, wait_for};

async fn refused(hosts: &Hosts, host: &Target) -> Fault {
    hosts.look(host, &look("echo x")).await.expect_err("it is refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_key_is_never_talked_to() {
    let sshd = Sshd::start();
    let known = sshd.at("known");
    let stranger = sshd.text("stranger.pub");
    fs::write(&known, format!("# first line\n[127.0.0.1]:{} {stranger}", sshd.port())).expect("known hosts");
    let fault = refused(&sshd.hosts(), &sshd.host(1)).await;
    assert_eq!(fault.kind, FaultKind::Target);
    let line = format!("is not the one in {}:2", known.display());
    assert!(fault.message.contains(&line) && fault.message.contains("ssh-keygen -f"), "{}", fault.message);

    fs::write(&known, "").expect("known hosts");
    let fault = refused(&sshd.hosts(), &sshd.host(1)).await;
    assert_eq!(fault.kind, FaultKind::Target);
    assert!(fault.message.contains("is not known, and is never accepted here"), "{}", fault.message);
    assert_eq!(sshd.text("known"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_how_to_look_at_it() {
    let sshd = Sshd::start();
    fs::write(sshd.at("authorized"), "").expect("no keys");
    let fault = refused(&sshd.hosts(), &sshd.host(1)).await;
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains("Permission denied (publickey)"), "{}", fault.message);
    let typed = format!("-p {} web1 -v true`", sshd.port());
    assert!(fault.message.contains(&typed), "{}", fault.message);
    assert!(sshd.masters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_nothing_was_sent() {
    let sshd = Sshd::start();
    let hosts = sshd.hosts();
    let dead = Connection { port: Some(free_port()), ..sshd.connection() };
    let fault = refused(&hosts, &target("127.0.0.1", dead)).await;
    assert_eq!(fault.kind, FaultKind::NotSent);
    assert!(fault.message.contains("Connection refused"), "{}", fault.message);

    // It accepts, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let fault =
        refused(&hosts, &target("127.0.0.1", Connection { port: Some(port), ..sshd.connection() })).await;
    assert_eq!(fault.kind, FaultKind::NotSent);
    assert!(fault.message.contains("timed out"), "{}", fault.message);

    let fault = refused(&hosts, &target("nowhere.invalid", sshd.connection())).await;
    assert_eq!(fault.kind, FaultKind::NotSent);
    assert!(fault.message.contains("Could not resolve hostname"), "{}", fault.message);
    assert!(sshd.masters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_hosts_at_once_have_no_more_connections_than_allowed() {
    let sshd = Sshd::start();
    let hosts = sshd.hosts().at_most(12);
    let calls: Vec<_> = (1..=64)
        .map(|number| {
            let (hosts, host) = (hosts.clone(), sshd.host(number));
            tokio::spawn(async move { seen(&hosts, &host, &format!("exit {number}")).await.code })
        })
        .collect();
    let mut most = 0;
    for (call, number) in calls.into_iter().zip(1..) {
        assert_eq!(call.await.expect("no panic"), Some(number));
        // During a look a connection may end and another take its place: who is in both was there between them.
        let (first, second) = (sshd.masters(), sshd.masters());
        most = most.max(first.iter().filter(|master| second.contains(master)).count());
    }
    assert!((1..=12).contains(&most), "{most}");
    drop(hosts);
    wait_for("all connections end", || sshd.masters().is_empty());
    wait_for("nothing is left in the folder", || {
        fs::read_dir(sshd.at("run")).expect("the folder").next().is_none()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_one_host_share_a_connection() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let (hosts, host) = (hosts.clone(), host.clone());
            tokio::spawn(async move { seen(&hosts, &host, &format!("exit {number}")).await.code })
        })
        .collect();
    for (call, number) in calls.into_iter().zip(0..) {
        assert_eq!(call.await.expect("no panic"), Some(number));
    }
    assert_eq!(sshd.masters().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_replaced() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    assert_eq!(seen(&hosts, &host, "exit 1").await.code, Some(1));
    // Between two calls: nobody notices.
    sshd.masters().into_iter().for_each(kill);
    assert_eq!(seen(&hosts, &host, "exit 2").await.code, Some(2));
    // In the middle of one: nobody knows what became of it.
    let begun = sshd.at("begun");
    let call = {
        let (hosts, host, script) =
            (hosts.clone(), host.clone(), format!("echo >{}; sleep 20", begun.display()));
        tokio::spawn(async move { hosts.look(&host, &look(&script)).await })
    };
    tokio::task::block_in_place(|| wait_for("it begins", || begun.exists()));
    sshd.masters().into_iter().for_each(kill);
    let fault = call.await.expect("no panic").expect_err("the connection broke");
    assert_eq!(fault.kind, FaultKind::Ambiguous, "{}", fault.message);
    assert_eq!(seen(&hosts, &host, "exit 3").await.code, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_are_withheld_are_not_there() {
    let sshd = Sshd::start();
    let config = sshd.at("ssh.conf");
    // Whatever the configuration starts would see them. (It is not given up before it has written them.)
    let spy =
        format!("{}ProxyCommand sh -c 'env >{}; true'\n", sshd.text("ssh.conf"), sshd.at("env").display());
    fs::write(&config, spy).expect("a configuration");
    let hosts = sshd.hosts().withholding(["CARGO_MANIFEST_DIR".to_owned()]);
    let _ = hosts.look(&sshd.host(1), &look("echo x")).await;
    let env = sshd.text("env");
    assert!(env.contains("PATH=") && !env.contains("CARGO_MANIFEST_DIR="), "{env}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_shared_by_clones_and_end_with_the_last() {
    let sshd = Sshd::start();
    let hosts = sshd.hosts();
    let shared: Arc<dyn Linux> = Arc::new(hosts.clone());
    shared.boot(&sshd.host(1)).await.expect("it answers");
    hosts.boot(&sshd.host(1)).await.expect("it answers");
    assert_eq!(sshd.masters().len(), 1);
    drop(shared);
    hosts.boot(&sshd.host(1)).await.expect("it answers");
    drop(hosts);
    wait_for("it ends", || sshd.masters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_few_sessions_is_asked_one_after_the_other() {
    let sshd = Sshd::with("MaxSessions 2\n");
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let calls: Vec<_> = (0..6)
        .map(|number| {
            let (hosts, host) = (hosts.clone(), host.clone());
            tokio::spawn(async move { seen(&hosts, &host, &format!("exit {number}")).await.code })
        })
        .collect();
    for (call, number) in calls.into_iter().zip(0..) {
        assert_eq!(call.await.expect("no panic"), Some(number));
    }
    let sshd = Sshd::with("MaxSessions 1\n");
    let hosts = sshd.hosts().patient_for(std::time::Duration::from_secs(1));
    let fault = refused(&hosts, &sshd.host(1)).await;
    assert_eq!(fault.kind, FaultKind::Target);
    assert!(fault.message.contains("`MaxSessions 10`"), "{}", fault.message);
}
