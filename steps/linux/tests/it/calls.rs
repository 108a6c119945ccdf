//! Scripts that look, and what they say.

use std::{collections::BTreeMap, time::Duration};

use runbook_steps::ports::linux::{Linux, Look};

use crate::sshd::{Sshd, look, processes, seen, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_look_gives_its_words_and_its_exit_code() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let it = seen(&hosts, &host, "printf out; printf err >&2; exit 255").await;
    assert_eq!((it.code, it.stdout.as_str(), it.stderr.as_str()), (Some(255), "out", "err"));
    // It cannot take its own text for its input.
    let script = "cat; echo \"[$LC_ALL]\"; case $PATH in */sbin*) echo sbin ;; esac; exit 3";
    let it = seen(&hosts, &host, script).await;
    assert_eq!((it.code, it.stdout.as_str()), (Some(3), "[C]\nsbin\n"));
    let it = seen(&hosts, &host, "if true; then echo x").await;
    assert_eq!((it.code, it.stdout.as_str()), (Some(2), ""));
    assert_eq!(hosts.boot(&host).await.expect("its boot id"), sshd.text("boot").trim());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_script_or_its_environment_is_an_argument() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let env = BTreeMap::from([("TOKEN".to_owned(), "it's\na $ecret \"`x`".to_owned())]);
    // Named after the test's own folder, since other processes of this machine may have any words as arguments.
    let mark = sshd.at("work").display().to_string();
    let script = format!(
        ": {mark}; printf '%s' \"$TOKEN\"; printf '%s\\n' sshd '{mark};' 'a $ecret' >{mark}/sought
         grep -haoFf {mark}/sought /proc/[0-9]*/cmdline | sort -u"
    );
    let it = hosts.look(&host, &Look { env, ..look(&script) }).await.expect("it is seen");
    assert_eq!(it.stdout, "it's\na $ecret \"`x`sshd\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_is_bounded_and_may_be_anything() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let script =
        "head -c 10000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2; exit 7";
    let it = seen(&hosts, &host, script).await;
    assert_eq!((it.code, it.stdout.len(), it.stderr.len()), (Some(7), 24_000, 8_000));
    let it = seen(&hosts, &host, "head -c 300000 /dev/urandom; printf '\\0\\377'; exit 4").await;
    assert_eq!((it.code, it.stdout.chars().count()), (Some(4), 24_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_does_not_end_is_ended_with_all_that_it_started() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let marker = sshd.at("work").display().to_string();
    let script = format!("echo begun; sh -c 'sleep 1000; : {marker}' & sleep 1000");
    let short = Look { within: Duration::from_secs(1), ..look(&script) };
    let it = hosts.look(&host, &short).await.expect("it is seen");
    assert_eq!((it.code, it.stdout.as_str()), (None, "begun\n"));
    wait_for("its processes end", || processes(&marker).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_leaves_behind_does_not_hold_it() {
    let sshd = Sshd::start();
    let (hosts, host) = (sshd.hosts(), sshd.host(1));
    let it = seen(&hosts, &host, "sleep 1000 & echo $!; exit 6").await;
    assert_eq!(it.code, Some(6));
    crate::sshd::kill(it.stdout.trim().parse().expect("a number"));
}
