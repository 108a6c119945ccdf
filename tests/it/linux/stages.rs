//! Updates that go through stages: a bad one is taken back where it did harm, a good one reaches every host, in the
//! version that was tested.

use std::collections::BTreeMap;

use runbook_test_hosts::{Family, Host};
use serde_json::Value;

use super::fleet::{Fleet, STAGES, answer, packages, past};
use crate::program::Place;

/// As `runbooks/patch-debian.yaml`, without its long waits. `hold` is a folder: each host waits after its installation
/// until the file `go` is there.
const RUNBOOK: &str = r#"
runbook: patch-stages
patchset: { from: dev }
params:
  hold: { type: string }
targets:
  dev:        { hosts: { inventory: hosts.yaml, group: dev } }
  staging:    { hosts: { inventory: hosts.yaml, group: staging } }
  production: { hosts: { inventory: hosts.yaml, group: production } }
blocks:
  patch-and-verify:
    backup:
      uses: linux/backup
      with: { method: packages, keep: 14d }
    patch:
      needs: [backup]
      uses: linux/patch
      with: { select: all, reboot: RebootIfNeeded }
      on_failure: [restore]
    warm:
      needs: [patch]
      uses: local/command
      effect: reads
      timeout: 5m
      with:
        script: |
          cd {{ params.hold | sh }}
          : >{{ target.name | sh }}
          until [ -e go ]; do sleep 0.05; done
      on_failure: [restore]
    healthy:
      needs: [warm]
      uses: check/http
      with: { url: "http://{{ target.private_ip }}:8480/healthz", within: 40s, for: 1s, every: 1s }
      on_failure: [restore]
    restore:
      uses: linux/restore
      targets: { failed_in: [patch, warm, healthy] }
      with: { from: backup }
steps:
  dev:
    run: patch-and-verify
    targets: dev
  agreed:
    needs: [dev]
    uses: gate/approval
    with: { approvers: [root], expires: 1h }
  staging:
    needs: [agreed]
    run: patch-and-verify
    targets: staging
    rollout: { waves: [1, 100%] }
  production:
    needs: [staging]
    run: patch-and-verify
    targets: production
    rollout: { waves: [1, 100%], max_failures: 25% }
"#;

/// A place with the runbook, the inventory and the folder that hosts wait for.
struct Night<'a> {
    fleet: &'a Fleet,
    place: Place,
}

impl<'a> Night<'a> {
    fn new(fleet: &'a Fleet, user: &str) -> Self {
        let place = Place::new();
        place.write("patch.yaml", RUNBOOK);
        std::fs::create_dir(place.path("hold")).expect("a folder");
        fleet.inventory(&place, user);
        Self { fleet, place }
    }

    fn arguments(&self) -> [String; 4] {
        let hold = format!("hold={}", self.place.path("hold").display());
        ["run".to_owned(), self.place.path("patch.yaml").display().to_string(), "--param".to_owned(), hold]
    }

    /// Whether the installation on this host is over.
    fn is_patched(&self, host: &Host) -> bool {
        self.place.path("hold").join(host.name()).exists()
    }

    /// From now on no host waits any more.
    fn go(&self) {
        self.place.write("hold/go", "");
    }

    fn shown(&self) -> Value {
        self.place.run(&["show", "--json"]).exits(0).json()
    }

    fn outcomes(&self) -> BTreeMap<String, String> {
        let shown = self.shown();
        let targets = shown["targets"].as_object().expect("targets");
        let outcome = |target: &Value| target["outcome"].as_str().unwrap_or_default().to_owned();
        targets.iter().map(|(id, target)| (id.clone(), outcome(target))).collect()
    }

    /// The bad version: the hosts of dev get it, but for those that hold it back, and go back to what they were.
    fn bad(&self, holding: &[&str]) {
        let fleet = self.fleet;
        let repository = fleet.estate.repository();
        let (affected, spared): (Vec<_>, Vec<_>) =
            fleet.stage("dev").partition(|host| !holding.contains(&host.name()));
        let later: Vec<_> = fleet.stage("staging").chain(fleet.stage("production")).collect();
        let before: Vec<_> = affected.iter().map(|host| packages(host)).collect();
        let untouched: Vec<_> = later.iter().map(|host| past(host)).collect();
        repository.publish("runbook-demo", "1.1-1");
        repository.publish("runbook-plain", "1.1-1");

        let arguments = self.arguments();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut run = self.place.start(&arguments);
        for host in fleet.stage("dev") {
            host.wait_until("is not patched", |host| self.is_patched(host));
        }
        for host in &affected {
            assert_eq!(answer(host), (500, "1.1-1".to_owned()));
        }
        // Former versions leave the mirrors soon: what the hosts have kept is all there is.
        for package in ["runbook-demo", "runbook-demo-lib", "runbook-plain"] {
            repository.withdraw(package, "1.0-1");
        }
        self.go();
        assert_eq!(run.wait().expect("an end").code(), Some(10), "{}", self.shown());

        assert_eq!(self.shown()["status"], "restored");
        let outcomes = self.outcomes();
        for (host, before) in affected.iter().zip(before) {
            assert_eq!(outcomes[host.name()], "restored");
            assert_eq!(packages(host), before);
            assert_eq!(answer(host), (200, "1.0-1".to_owned()));
        }
        for host in spared {
            assert_eq!(outcomes[host.name()], "succeeded");
            assert_eq!(host.installed("runbook-plain"), "1.1-1", "{} was not affected", host.name());
            assert_eq!(answer(host), (200, "1.0-1".to_owned()));
        }
        for (host, untouched) in later.iter().zip(untouched) {
            assert_eq!(outcomes[host.name()], "not_started");
            assert_eq!(past(host), untouched);
        }
    }

    /// The good version: what dev has verified reaches every host, and not what is newer by then.
    fn good(&self) {
        let fleet = self.fleet;
        let repository = fleet.estate.repository();
        let before: Vec<_> = fleet.hosts().iter().map(packages).collect();
        repository.publish("runbook-demo", "1.2-1");
        self.go();
        let arguments = self.arguments();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(["--no-wait"]).collect();
        self.place.run(&arguments).exits(12);
        for host in fleet.stage("dev") {
            assert_eq!(answer(host), (200, "1.2-1".to_owned()));
        }
        // It is newer by the time of staging. Where no backup was ever made, a mirror must have what is installed.
        repository.publish("runbook-demo", "1.3-1");
        repository.publish("runbook-demo", "1.0-1");
        repository.publish("runbook-plain", "1.0-1");
        self.place.run(&["approve"]).exits(0);
        self.place.run(&["resume"]).exits(0);

        for host in fleet.stage("staging").chain(fleet.stage("production")) {
            assert_eq!(answer(host), (200, "1.2-1".to_owned()));
            for package in ["runbook-demo", "runbook-demo-lib"] {
                assert_eq!(host.installed(package), "1.2-1", "{}", host.name());
            }
            assert_eq!(host.installed("runbook-plain"), "1.1-1", "{}", host.name());
        }
        assert!(self.outcomes().values().all(|outcome| outcome == "succeeded"), "{}", self.shown());

        // Somebody changes their mind: by then no mirror has the former versions.
        for package in ["runbook-demo", "runbook-demo-lib", "runbook-plain"] {
            repository.withdraw(package, "1.0-1");
        }
        self.place.run(&["rollback"]).exits(0);
        for (host, before) in fleet.hosts().iter().zip(before) {
            assert_eq!(packages(host), before, "{}", host.name());
            assert_eq!(answer(host), (200, "1.0-1".to_owned()));
        }
    }
}

#[test]
fn six_debian_hosts_are_spared_a_bad_version_and_get_the_good_one() {
    let fleet = Fleet::new("stages", &STAGES, &[Family::Debian; 2]);
    fleet.host("dev2").run("apt-mark hold runbook-demo runbook-demo-lib");
    Night::new(&fleet, "root").bad(&["dev2"]);
    fleet.host("dev2").run("apt-mark unhold runbook-demo runbook-demo-lib");
    Night::new(&fleet, "ops").good();
}

#[test]
fn hosts_with_dnf_and_with_zypper_are_spared_a_bad_version_and_get_the_good_one() {
    let fleet = Fleet::new("rpm-stages", &STAGES, &[Family::Dnf, Family::Zypper]);
    Night::new(&fleet, "ops").bad(&[]);
    Night::new(&fleet, "ops").good();
}
