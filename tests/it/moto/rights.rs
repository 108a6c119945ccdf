//! Each action taken out of the generated policy in turn: the run stops before the first change, and names it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use super::account::{Account, actions, generated, without};

/// So many runs at a time: most of each is waiting for snapshots.
const AT_A_TIME: usize = 5;

/// Volumes and machines, without what backups leave.
fn state(account: &Account) -> (Value, Value) {
    let instances = ["ec2", "describe-instances", "--query", "Reservations[].Instances[]"];
    (account.aws(&["ec2", "describe-volumes"]), account.aws(&instances))
}

/// Every action of the policy is proved before a machine is changed: those of the inventory by planning, those of the
/// backup by making it, and those of the way back by the readiness gate, with DryRun or by reading what a restore reads.
/// (moto asks for `ec2:CreateTags` only where it is called, and not where tags come with what is made, as AWS does.)
#[test]
fn without_any_one_of_them_nothing_is_changed_and_it_is_named() {
    let policy = generated();
    let actions: Vec<String> = actions(&policy).into_iter().collect();
    assert!(actions.len() >= 13, "{actions:?}");
    let policies: BTreeMap<_, _> =
        actions.iter().map(|action| (action.replace(':', "-"), without(&policy, action))).collect();
    let account = Account::new(&policies);
    let before = state(&account);

    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(action) = actions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = stops(&account, action) {
                        wrong.lock().expect("unpoisoned").push(why);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("unpoisoned");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(state(&account), before, "nothing was changed");
    assert!(!account.moto.log().contains("\" 500 "), "{}", account.moto.log());
}

/// A run of somebody who lacks this action.
fn stops(account: &Account, action: &str) -> Result<(), String> {
    let mut user = account.user(&action.replace(':', "-"));
    if action.starts_with("ssm:") {
        // moto does not have the call. It refuses whoever may not make it all the same, and before it notices.
        user = user.all_of_moto();
    }
    let done = user.run(&["--limit", "dev"]);
    // Refused while the machines were looked up, or by the run.
    let expected = if action == "ec2:DescribeInstances" { 4 } else { 10 };
    let said = format!("{}{}", done.stdout, done.stderr);
    let named = said.contains(action);
    if done.code == expected && named { Ok(()) } else { Err(format!("{action}: exit {}\n{said}", done.code)) }
}
