//! The whole adapter on real hosts: own root folder, own sshd, own sudo, own package database.

use std::{collections::BTreeMap, time::Duration};

use runbook_engine::{
    connection::{Connection, Sudo},
    target::Target,
};
use runbook_linux::Hosts;
use runbook_steps::ports::{
    fault::FaultKind,
    linux::{Deed, Ended, Job, Linux, Look, Manager, Order, Package, Progress, Revert, Verdict, Wanted},
};
use runbook_test_hosts::{Estate, FIRST_VERSION, Host};

use crate::{
    jobs::{end_of, ended, job},
    sshd::{look, target},
};

const WAIT: Duration = Duration::from_secs(60);

pub(crate) fn as_user(estate: &Estate, host: &Host, user: &str, sudo: Option<Sudo>) -> Target {
    let connection = Connection {
        config: Some(estate.ssh_config().display().to_string()),
        user: Some(user.to_owned()),
        sudo_password: (sudo == Some(Sudo::Password)).then(|| "ASKER".to_owned()),
        sudo,
        ..Connection::default()
    };
    target(host.address(), connection)
}

fn script(text: &str, as_root: bool) -> Deed {
    Deed::Script { script: text.to_owned(), env: BTreeMap::new(), as_root, looks_for: None }
}

pub(crate) async fn done(hosts: &Hosts, host: &Target, token: &str, deed: Deed) -> Ended {
    let job = Job { exclusive: true, ..job(token, deed) };
    hosts.start(host, &job).await.expect("it starts");
    ended(hosts, host, token).await
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_installed_by_jobs_and_a_service_is_seen() {
    let estate = Estate::new("ssh-packages");
    let web = estate.debian("web1");
    let (hosts, host) = (Hosts::new(), as_user(&estate, &web, "ops", None));
    let facts = hosts.facts(&host).await.expect("facts");
    assert_eq!((facts.os.as_str(), facts.manager), ("debian", Manager::Apt));
    assert_eq!(facts.boot_id, hosts.boot(&host).await.expect("its boot id"));

    estate.repository().publish("runbook-demo", "1.1-1");
    let refreshed = done(&hosts, &host, "refresh", Deed::Refresh { lock_wait: WAIT }).await;
    assert_eq!(refreshed.verdict, Verdict::Done, "{refreshed:?}");
    let pending = hosts.pending(&host).await.expect("what is pending");
    let demo = pending.iter().find(|update| update.name == "runbook-demo").expect("it is pending");
    assert_eq!(demo.to, "1.1-1");

    let wanted = |version: &str| Order {
        wanted: vec![Wanted {
            name: demo.name.clone(),
            arch: demo.arch.clone(),
            version: Some(version.to_owned()),
        }],
        lock_wait: WAIT,
        ..Order::default()
    };
    let missing = hosts.rehearse(&host, &wanted("9.9-9")).await.expect_err("there is none");
    assert_eq!(missing.kind, FaultKind::NotFound, "{missing:?}");
    let planned = hosts.rehearse(&host, &wanted("1.1-1")).await.expect("it can be done");
    assert!(planned.iter().any(|change| change.to.as_deref() == Some("1.1-1")), "{planned:?}");
    let installed = done(&hosts, &host, "install", Deed::Install(wanted("1.1-1"))).await;
    assert_eq!((installed.verdict, installed.code), (Verdict::Done, 0), "{installed:?}");
    let packages = hosts.packages(&host).await.expect("packages");
    assert!(packages.iter().any(|package| package.name == "runbook-demo" && package.version == "1.1-1"));

    let restarted = Deed::Service { name: "runbook-demo".to_owned(), verb: "restart".to_owned() };
    assert_eq!(done(&hosts, &host, "restart", restarted).await.verdict, Verdict::Done);
    let service = hosts.service(&host, "runbook-demo").await.expect("it is there");
    assert!(service.active, "{service:?}");
    let none = hosts.service(&host, "nothing").await.expect_err("there is none");
    assert_eq!(none.kind, FaultKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_aside_comes_back_when_no_repository_has_it() {
    let estate = Estate::new("ssh-kept");
    let web = estate.debian("web1");
    let (hosts, host) = (Hosts::new(), as_user(&estate, &web, "ops", None));
    let ours = |packages: Vec<Package>| -> Vec<Package> {
        packages.into_iter().filter(|package| package.name.starts_with("runbook-demo")).collect()
    };
    let order = |packages: &[Package]| Order {
        wanted: packages
            .iter()
            .map(|package| Wanted {
                name: package.name.clone(),
                arch: package.arch.clone(),
                version: Some(package.version.clone()),
            })
            .collect(),
        lock_wait: WAIT,
        ..Order::default()
    };
    done(&hosts, &host, "lists", Deed::Refresh { lock_wait: WAIT }).await;
    let former = ours(hosts.packages(&host).await.expect("packages"));
    let kept = done(&hosts, &host, "keep", Deed::Keep { packages: former.clone(), until: None }).await;
    assert_eq!(kept.verdict, Verdict::Done, "{kept:?}");
    assert_eq!(kept.told["missing"], serde_json::json!([]));
    for package in ["runbook-demo", "runbook-demo-lib"] {
        estate.repository().publish(package, "1.1-1");
        estate.repository().withdraw(package, FIRST_VERSION);
    }
    done(&hosts, &host, "refresh", Deed::Refresh { lock_wait: WAIT }).await;
    let newer: Vec<_> =
        former.iter().map(|package| Package { version: "1.1-1".to_owned(), ..package.clone() }).collect();
    let up = done(&hosts, &host, "up", Deed::Install(order(&newer))).await;
    assert_eq!(up.verdict, Verdict::Done, "{up:?}");
    assert_eq!(ours(hosts.packages(&host).await.expect("packages")), newer);

    let back = Order { back: true, ..order(&former) };
    let gone = hosts.rehearse(&host, &back).await.expect_err("no repository has it");
    assert_eq!(gone.kind, FaultKind::NotFound, "{gone:?}");
    let back = Order { kept: Some("keep".to_owned()), ..back };
    assert_eq!(hosts.rehearse(&host, &back).await.expect("it can be done").len(), former.len());
    let down = done(&hosts, &host, "down", Deed::Install(back)).await;
    assert_eq!(down.verdict, Verdict::Done, "{down:?}");
    assert_eq!(ours(hosts.packages(&host).await.expect("packages")), former);

    let discarded = Deed::Discard(Revert {
        method: "packages".to_owned(),
        token: "keep".to_owned(),
        captured: serde_json::Value::Null,
        options: BTreeMap::new(),
        secrets: BTreeMap::new(),
    });
    assert_eq!(done(&hosts, &host, "discard", discarded).await.code, 0);
    assert_eq!(web.run("ls /var/lib/runbook/kept"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn root_is_become_as_the_host_wants_it_and_users_stay_who_they_are() {
    let estate = Estate::new("ssh-sudo");
    let web = estate.debian("web1");
    let hosts =
        Hosts::new().with_secrets(|name| (name == "ASKER").then(|| Estate::ASKER_PASSWORD.to_owned()));
    let root = |text: &str| Look { as_root: true, ..look(text) };

    for (user, sudo) in [("ops", None), ("asker", Some(Sudo::Password)), ("root", None)] {
        let host = as_user(&estate, &web, user, sudo);
        let it = hosts.look(&host, &root("id -un")).await.expect("root's rights");
        assert_eq!((it.stdout.as_str(), it.stderr.as_str()), ("root\n", ""), "{user}");
        let it = hosts.look(&host, &look("id -un")).await.expect("the user's");
        assert_eq!(it.stdout, format!("{user}\n"));
        for (as_root, who) in [(true, "root"), (false, user)] {
            let token = format!("{user}-{as_root}");
            let ended = done(&hosts, &host, &token, script("id -un; pwd", as_root)).await;
            assert_eq!(ended.stdout, format!("{who}\n/\n"), "{ended:?}");
        }
    }
    assert_eq!(web.run("stat -c '%U %a' /var/lib/runbook/jobs/ops-true").trim(), "root 700");

    let unset = as_user(&estate, &web, "asker", None);
    let fault = hosts.look(&unset, &root("id -un")).await.expect_err("it wants a password");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains("wants a password"), "{}", fault.message);
    let wrong = Hosts::new().with_secrets(|_| Some("swordfish".to_owned()));
    let asker = as_user(&estate, &web, "asker", Some(Sudo::Password));
    let fault = wrong.look(&asker, &root("id -un")).await.expect_err("it is the wrong one");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains("does not take the password"), "{}", fault.message);

    // Without any way to root, the user's own folder holds jobs.
    let guest = as_user(&estate, &web, "guest", Some(Sudo::None));
    let ended = done(&hosts, &guest, "guest", script("id -un", false)).await;
    assert_eq!(ended.stdout, "guest\n");
    web.run("test -e ~guest/.local/state/runbook/jobs/guest/code");
    let fault = hosts.look(&as_user(&estate, &web, "guest", None), &root("id")).await.expect_err("no sudo");
    assert_eq!(fault.kind, FaultKind::Denied, "{}", fault.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_ends_what_ran_and_keeps_what_ended() {
    let estate = Estate::new("ssh-reboot");
    let web = estate.debian("web1");
    let (hosts, host) = (Hosts::new(), as_user(&estate, &web, "ops", None));
    let before = hosts.boot(&host).await.expect("its boot id");
    // What ends when it is asked to leaves its exit code; this does not.
    let running = job("running", script("trap '' TERM; while :; do sleep 1; done", true));
    hosts.start(&host, &running).await.expect("it starts");
    let rebooting = done(&hosts, &host, "reboot", Deed::Reboot).await;
    assert_eq!(rebooting.verdict, Verdict::Done, "{rebooting:?}");
    tokio::task::block_in_place(|| web.wait_for_reboot(&before));
    let after = hosts.boot(&host).await.expect("its boot id");
    assert_ne!(before, after);
    assert_eq!(ended(&hosts, &host, "reboot").await.code, 0);
    assert_eq!(end_of(&hosts, &host, "running").await, Progress::Lost { rebooted: true });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_a_job_and_keeps_the_end_of_one_that_runs() {
    let estate = Estate::new("ssh-full");
    let web = estate.recipe(runbook_test_hosts::Family::Debian, "web1").var_of(24).start();
    let (hosts, host) = (Hosts::new(), as_user(&estate, &web, "root", None));
    hosts
        .start(&host, &job("first", script("while [ ! -e /run/go ]; do sleep 0.1; done; exit 7", true)))
        .await
        .expect("it starts");
    web.fill_var();
    let fault = hosts.start(&host, &job("second", script("exit 0", true))).await.expect_err("no room");
    assert_eq!(fault.kind, FaultKind::Capacity, "{}", fault.message);
    assert!(fault.message.contains(": 0 KiB are free on /var; see `df -h`"), "{}", fault.message);
    assert_eq!(hosts.progress(&host, "second").await, Ok(Progress::Absent));
    web.run("touch /run/go");
    assert_eq!(ended(&hosts, &host, "first").await.code, 7);
    web.empty_var();
    hosts.start(&host, &job("second", script("exit 0", true))).await.expect("there is room");
    assert_eq!(ended(&hosts, &host, "second").await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_the_users_needs_no_sudo_of_roots() {
    let estate = Estate::new("ssh-tty");
    let web = estate.debian("web1");
    // As the hint advises where a terminal is required, and with a root whom sudo does not know.
    web.run("printf 'Defaults requiretty\nDefaults:ops !requiretty\n' >/etc/sudoers.d/tty && sed -i '/^root/d' /etc/sudoers");
    let (hosts, host) = (Hosts::new(), as_user(&estate, &web, "ops", None));
    let asks =
        "id -un; id -gn; id -Gn; echo \"$HOME $USER $LOGNAME $SHELL\"; env | grep -c '^SUDO\\|^RUNBOOK' || :";
    let said = done(&hosts, &host, "who", script(asks, false)).await;
    assert_eq!(said.stdout, "ops\nops\nops\n/home/ops ops ops /bin/bash\n0\n", "{said:?}");
    // The same where there is no runuser.
    web.run("mv /sbin/runuser /sbin/runuser.not");
    let said = done(&hosts, &host, "again", script(asks, false)).await;
    assert_eq!(said.stdout, "ops\nops\nops\n/home/ops ops ops /bin/bash\n0\n", "{said:?}");
    let failed = done(&hosts, &host, "code", script("exit 7", false)).await;
    assert_eq!((failed.code, failed.verdict), (7, Verdict::Failed));
}
