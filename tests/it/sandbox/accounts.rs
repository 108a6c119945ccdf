//! One run over three accounts and two Regions: each account's machines are spoken to with that account's credentials,
//! in their own Region.

use std::collections::{BTreeMap, BTreeSet};

use super::rollout::Rollout;

const ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];
const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

/// In each account and Region.
const MACHINES: usize = 50;

/// The role of this account; the sandbox wants to hear the external id that its name ends in.
fn role(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/patching-external-{}", &account[..4])
}

fn places() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACCOUNTS.iter().flat_map(|account| REGIONS.iter().map(|region| (*account, *region)))
}

fn fleet() -> String {
    let groups: String = places()
        .map(|(account, region)| {
            format!(
                "  - {{ name: {}-{region}, count: {MACHINES}, account: '{account}', region: {region}, \
                 tags: {{ Fleet: many }} }}\n",
                &account[..1]
            )
        })
        .collect();
    format!("fleet: accounts\nstart: 2026-11-21T16:00:00Z\ngroups:\n{groups}")
}

/// All of them are backed up, patched and verified, side by side.
fn runbook() -> String {
    let mut targets = String::new();
    let mut steps = String::new();
    for (account, region) in places() {
        let name = format!("in-{}-{region}", &account[..1]);
        targets.push_str(&format!(
            "  {name}:\n    aws:\n      tags: {{ Fleet: many }}\n      region: {region}\n      role: {}\n      \
             external_id: '{}'\n",
            role(account),
            &account[..4]
        ));
        steps.push_str(&format!(
            "  {name}:\n    run: patched\n    targets: {name}\n    rollout: {{ waves: [10, 50] }}\n"
        ));
    }
    format!(
        r#"
runbook: accounts
targets:
{targets}
blocks:
  patched:
    backup:
      uses: aws/snapshot
      with: {{ keep: 14d }}
    patch:
      needs: [backup]
      uses: aws/patch
      with: {{ operation: Install }}
      on_failure: [restore]
    healthy:
      needs: [patch]
      uses: check/http
      with: {{ url: "http://{{{{ target.private_ip }}}}:8080/healthz", within: 10m }}
      on_failure: [restore]
    restore:
      uses: aws/restore
      targets: {{ failed_in: [patch, healthy] }}
      with: {{ from: backup }}
steps:
{steps}
"#
    )
}

#[test]
fn three_hundred_machines_in_three_accounts_and_two_regions() {
    let rollout = Rollout::new(&runbook(), &fleet());
    let homes = homes(&rollout);
    assert_eq!(homes.len(), 6 * MACHINES);
    let end = rollout.run();
    assert_eq!(end.exit, Some(0), "{}\n{}", rollout.page(), rollout.log());
    assert_eq!(end.outcomes.len(), homes.len());
    assert!(end.outcomes.values().all(|outcome| outcome == "succeeded"), "{}", rollout.page());

    let calls = rollout.sandbox.calls();
    assert_eq!(calls.doubled(), [].into());
    // Two waves in each place, each with its installation and its closing scan: machines that are equally far share.
    let sent = calls.by_operation()["ssm:SendCommand"];
    assert!(sent <= 6 * 2 * 2 + 2, "{sent} commands where {} would do", 6 * 2 * 2);
    let mut written = BTreeSet::new();
    for call in calls.0.iter().filter(|call| call.took_effect) {
        for machine in &call.machines {
            let home = (call.account.clone(), call.region.clone());
            assert_eq!(homes.get(machine), Some(&home), "{call:?}");
            written.insert(machine);
        }
    }
    assert_eq!(written.len(), homes.len());
    let refused = |code: &String| code.contains("Denied") || code.contains("Unauthorized");
    let refused: Vec<_> = calls.0.iter().filter(|call| call.error.as_ref().is_some_and(refused)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(calls.by_operation()["sts:AssumeRole"] >= ACCOUNTS.len());
}

/// Account and Region of each machine, as the plan names them.
fn homes(rollout: &Rollout) -> BTreeMap<String, (String, String)> {
    let plan = rollout.plan();
    let targets = plan["targets"].as_object().expect("targets");
    targets
        .iter()
        .map(|(id, target)| {
            let home = &target["home"]["aws"];
            let text = |what: &str| home[what].as_str().unwrap_or_default().to_owned();
            (id.clone(), (text("account"), text("region")))
        })
        .collect()
}
