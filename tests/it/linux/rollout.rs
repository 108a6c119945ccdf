//! A rollout over hosts, with nothing but the ssh of this machine.

use runbook_test_hosts::{Estate, Family};

use crate::program::Place;

#[test]
fn an_update_reaches_every_host_and_is_looked_at() {
    let estate = Estate::new("rollout");
    let hosts = estate.start(["web1", "web2"].map(|name| estate.recipe(Family::Debian, name)));
    estate.repository().publish("runbook-demo", "1.2-1");
    let place = Place::new();
    let entries: String = hosts.iter().map(|host| format!("      {}\n", host.entry())).collect();
    let runbook = place.write(
        "update.yaml",
        &format!(
            r#"runbook: update
params:
  ssh_config: {{ type: string }}
targets:
  web:
    hosts:
{entries}
steps:
  install:
    uses: local/command
    targets: web
    effect: changes
    way_back: none
    because: this shows that hosts are reached, not how they are restored
    timeout: 2m
    with:
      script: |
        ssh -F {{{{ params.ssh_config | sh }}}} {{{{ target.name | sh }}}} 'apt-get -q update && apt-get -qy install runbook-demo'
  healthy:
    needs: [install]
    uses: check/http
    targets: web
    with: {{ url: "http://{{{{ target.private_ip }}}}:8480/healthz", within: 30s }}
  inside:
    needs: [healthy]
    uses: check/http
    targets: web
    with: {{ url: "http://{{{{ target.private_ip }}}}:8480/healthz", from: host, within: 30s }}
  port:
    needs: [healthy]
    uses: check/tcp
    targets: web
    with: {{ host: "{{{{ target.private_ip }}}}", port: 8480, from: host, within: 30s }}
  installed:
    needs: [healthy]
    uses: check/command
    targets: web
    with: {{ script: "dpkg -s runbook-demo | grep -q 'Version: 1.2-1'", from: host, within: 30s }}
  logged:
    needs: [healthy]
    uses: check/log
    targets: web
    with:
      file: /var/log/dpkg.log
      patterns: ["status installed old"]
      expect: ["status installed runbook-demo"]
      within: 10s
"#
        ),
    );
    // A log has lines from before the patch too.
    for host in &hosts {
        host.run("echo '2020-01-01 00:00:00 status installed old:amd64 1.0' >/var/log/dpkg.log");
    }
    let config = format!("ssh_config={}", estate.ssh_config().display());
    place.run(&["run", &runbook.display().to_string(), "--param", &config]).exits(0);
    for host in &hosts {
        assert_eq!(host.installed("runbook-demo"), "1.2-1");
        assert_eq!(
            host.http("/healthz").expect("an answer").1,
            "{\"service\":\"runbook-demo\",\"version\":\"1.2-1\",\"lib\":\"1.2-1\"}\n"
        );
    }
}
