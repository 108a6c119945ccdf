//! The same way on a real host of each family, over its sshd: an update, and back to the exact former versions when no
//! repository has them any more.

use std::time::Duration;

use runbook_linux::Hosts;
use runbook_steps::ports::linux::{Deed, Linux, Manager, Order, Package, Update, Verdict, Wanted};
use runbook_test_hosts::{Estate, Host};

use crate::estate::{as_user, done};

const WAIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn debian() {
    let estate = Estate::new("family-debian");
    let host = estate.debian("web1");
    there_and_back(&estate, &host, Manager::Apt, "debian-12-amd64").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dnf() {
    let estate = Estate::new("family-dnf");
    let host = estate.dnf("db1");
    there_and_back(&estate, &host, Manager::Dnf, "rocky-9-x86_64").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zypper() {
    let estate = Estate::new("family-zypper");
    let host = estate.zypper("app1");
    there_and_back(&estate, &host, Manager::Zypper, "sles-15-x86_64").await;
}

fn of<'a>(pending: &'a [Update], name: &str) -> &'a Update {
    pending.iter().find(|update| update.name == name).expect("it is pending")
}

async fn there_and_back(estate: &Estate, real: &Host, manager: Manager, platform: &str) {
    let (hosts, host) = (Hosts::new(), as_user(estate, real, "ops", None));
    let facts = hosts.facts(&host).await.expect("facts");
    assert_eq!((facts.manager, facts.platform().as_str()), (manager, platform));
    assert_eq!((facts.broken, facts.holds, facts.transactional), (vec![], vec![], false));

    let former = hosts.packages(&host).await.expect("packages");
    let ours: Vec<Package> =
        former.iter().filter(|package| package.name.starts_with("runbook-demo")).cloned().collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    let refreshed = done(&hosts, &host, "refresh-0", Deed::Refresh { lock_wait: WAIT }).await;
    assert_eq!(refreshed.verdict, Verdict::Done, "{refreshed:?}");
    let keep = Deed::Keep { packages: ours.clone(), until: None };
    let kept = done(&hosts, &host, "keep-1", keep).await;
    assert_eq!((kept.verdict, kept.cause.as_str()), (Verdict::Done, ""), "{kept:?}");
    assert_eq!(kept.told["kept"], serde_json::to_value(&ours).expect("packages"));

    estate.repository().publish("runbook-demo", "1.1-1");
    estate.repository().publish_security("runbook-secure", "1.1-1");
    let refreshed = done(&hosts, &host, "refresh-1", Deed::Refresh { lock_wait: WAIT }).await;
    assert_eq!(refreshed.verdict, Verdict::Done, "{refreshed:?}");
    let pending = hosts.pending(&host).await.expect("what is pending");
    let demo = of(&pending, "runbook-demo");
    assert_eq!((demo.from.as_deref(), demo.to.as_str(), demo.security), (Some("1.0-1"), "1.1-1", false));
    assert!(of(&pending, "runbook-secure").security, "{pending:?}");

    let wanted = |version: &str| -> Vec<Wanted> {
        ours.iter()
            .map(|package| Wanted {
                name: package.name.clone(),
                arch: package.arch.clone(),
                version: Some(version.to_owned()),
            })
            .collect()
    };
    let order = Order { wanted: wanted("1.1-1"), lock_wait: WAIT, ..Order::default() };
    let planned = hosts.rehearse(&host, &order).await.expect("it can be done");
    assert_eq!(planned.len(), 2, "{planned:?}");
    let installed = done(&hosts, &host, "install-1", Deed::Install(order)).await;
    assert_eq!((installed.verdict, installed.cause.as_str()), (Verdict::Done, ""), "{installed:?}");

    for name in ["runbook-demo", "runbook-demo-lib"] {
        estate.repository().withdraw(name, "1.0-1");
    }
    let refreshed = done(&hosts, &host, "refresh-2", Deed::Refresh { lock_wait: WAIT }).await;
    assert_eq!(refreshed.verdict, Verdict::Done, "{refreshed:?}");
    let order = Order {
        wanted: wanted("1.0-1"),
        back: true,
        kept: Some("keep-1".to_owned()),
        lock_wait: WAIT,
        ..Order::default()
    };
    let planned = hosts.rehearse(&host, &order).await.expect("it can go back");
    assert!(planned.iter().all(|change| change.from.as_deref() == Some("1.1-1")), "{planned:?}");
    let back = done(&hosts, &host, "back-1", Deed::Install(order)).await;
    assert_eq!((back.verdict, back.cause.as_str()), (Verdict::Done, ""), "{back:?}");
    assert_eq!(hosts.packages(&host).await.expect("packages"), former);
}
