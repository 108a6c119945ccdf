//! A package that broke one host is not installed on the next one.

use runbook_test_hosts::Family;

use super::fleet::{Fleet, answer, packages, past};
use crate::program::Place;

const RUNBOOK: &str = r#"
runbook: patch-one-by-one
patchset: { from: dev }
targets:
  dev: { hosts: { inventory: hosts.yaml, group: dev } }
blocks:
  patch-and-verify:
    backup:
      uses: linux/backup
      with: { method: packages, keep: 1d }
    patch:
      needs: [backup]
      uses: linux/patch
      with: { select: all }
      on_failure: [restore]
    healthy:
      needs: [patch]
      uses: check/http
      with: { url: "http://{{ target.private_ip }}:8480/healthz", within: 40s, every: 1s }
      on_failure: [restore]
    restore:
      uses: linux/restore
      targets: { failed_in: [patch, healthy] }
      with: { from: backup }
steps:
  dev:
    run: patch-and-verify
    targets: dev
    rollout: { waves: [1, 100%], max_failures: 1 }
"#;

#[test]
fn what_broke_the_first_host_is_kept_from_the_others() {
    let fleet = Fleet::new("barred", &["dev"], &[Family::Debian; 3]);
    let (first, others) = fleet.hosts().split_first().expect("a host");
    let before = packages(first);
    let untouched: Vec<_> = others.iter().map(past).collect();
    fleet.estate.repository().publish("runbook-demo", "1.1-1");
    let place = Place::new();
    let runbook = place.write("patch.yaml", RUNBOOK).display().to_string();
    fleet.inventory(&place, "root");

    place.run(&["run", &runbook]).exits(0);
    let shown = place.run(&["show", "--json"]).exits(0).json();
    assert_eq!(shown["targets"][first.name()]["outcome"], "restored", "{shown}");
    assert_eq!(packages(first), before);
    assert_eq!(answer(first), (200, "1.0-1".to_owned()));
    let barred = shown["patchset"]["barred"].as_array().expect("what is barred");
    for package in ["runbook-demo", "runbook-demo-lib"] {
        let bar = barred.iter().find(|bar| bar["name"] == package).unwrap_or_else(|| panic!("{shown}"));
        assert_eq!((bar["version"].as_str(), bar["broke"].as_str()), (Some("1.1-1"), Some(first.name())));
    }
    for (host, untouched) in others.iter().zip(untouched) {
        assert_eq!(shown["targets"][host.name()]["outcome"], "succeeded", "{shown}");
        assert_eq!(past(host), untouched, "{}", host.name());
    }
}
