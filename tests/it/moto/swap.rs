//! Two of twelve machines get their volumes back, as the AWS CLI sees it, and with nothing but the generated policy.

use std::collections::{BTreeMap, BTreeSet};

use runbook_test_servers::EstateMachine;
use serde_json::{Value, json};

use super::account::{Account, SPOILED, generated};

/// What the AWS CLI says of the account.
pub struct Seen {
    pub instances: BTreeMap<String, Value>,
    pub volumes: BTreeMap<String, Value>,
    pub snapshots: BTreeMap<String, Value>,
}

impl Seen {
    /// Now.
    pub fn of(account: &Account) -> Self {
        let listed = |what: &str, list: &Value, key: &str| -> BTreeMap<String, Value> {
            let all = list[what].as_array().expect("a list");
            all.iter().map(|one| (text(&one[key]), one.clone())).collect()
        };
        let query = ["--query", "{Instances: Reservations[].Instances[]}"];
        let instances = account.aws(&[&["ec2", "describe-instances"], &query[..]].concat());
        let volumes = account.aws(&["ec2", "describe-volumes"]);
        let snapshots = account.aws(&["ec2", "describe-snapshots", "--owner-ids", "self"]);
        let mut snapshots = listed("Snapshots", &snapshots, "SnapshotId");
        // moto makes one for every image.
        snapshots.retain(|_, one| !text(&one["Description"]).starts_with("Auto-created"));
        Self {
            instances: listed("Instances", &instances, "InstanceId"),
            volumes: listed("Volumes", &volumes, "VolumeId"),
            snapshots,
        }
    }

    /// What is attached there: the volume, and whether it goes with the machine.
    pub fn attached(&self, machine: &EstateMachine, device: &str) -> (String, bool) {
        let disks = self.instances[&machine.id]["BlockDeviceMappings"].as_array().expect("disks");
        let disk = disks.iter().find(|disk| disk["DeviceName"] == device).expect("a disk");
        (text(&disk["Ebs"]["VolumeId"]), disk["Ebs"]["DeleteOnTermination"] == true)
    }

    /// Volumes that no machine has.
    pub fn loose(&self) -> BTreeSet<String> {
        let loose = self.volumes.iter().filter(|(_, volume)| volume["State"] == "available");
        loose.map(|(id, _)| id.clone()).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn tags(of: &Value) -> BTreeMap<String, String> {
    let tags = of["Tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    tags.iter().map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
}

/// Those that a person put there.
fn own(of: &Value) -> BTreeMap<String, String> {
    let mut tags = tags(of);
    tags.retain(|key, _| !key.starts_with("runbook:"));
    tags
}

#[test]
fn two_of_twelve_machines_get_their_volumes_back() {
    let account = Account::new(&BTreeMap::from([("generated".to_owned(), generated())]));
    let before = Seen::of(&account);
    let user = account.user("generated");
    let done = user.run(&[]);
    assert!(!account.moto.log().contains("\" 500 "), "{}", account.moto.log());
    done.exits(0);

    let show = user.ask(&["show", "--json"]).exits(0).json();
    for (name, machine) in &account.estate {
        let expected = if SPOILED.contains(&name.as_str()) { "restored" } else { "succeeded" };
        assert_eq!(show["targets"][&machine.id]["outcome"], expected, "{name}");
    }

    let after = Seen::of(&account);
    assert_eq!(after.instances.len(), 12);
    assert!(after.instances.values().all(|instance| instance["State"]["Name"] == "running"));
    let mut replaced = BTreeSet::new();
    for (name, machine) in &account.estate {
        let (root, root_goes) = after.attached(machine, "/dev/sda1");
        let (data, data_goes) = after.attached(machine, "/dev/sdf");
        assert_eq!((root_goes, data_goes), (true, false), "{name}: DeleteOnTermination");
        if !SPOILED.contains(&name.as_str()) {
            assert_eq!((&root, &data), (&machine.root, &machine.data), "{name}");
            assert_eq!(tags(&after.volumes[&root])["State"], "changed", "{name}");
            continue;
        }
        for (old, new) in [(&machine.root, &root), (&machine.data, &data)] {
            assert_ne!(old, new, "{name}");
            let (was, is) = (&before.volumes[old], &after.volumes[new]);
            for what in ["Size", "VolumeType", "Iops", "Throughput", "Encrypted", "AvailabilityZone"] {
                assert_eq!(was[what], is[what], "{name}: {what}");
            }
            assert_eq!(own(was), own(is), "{name}: what the change left is gone, the tags are there");
            let snapshot = &after.snapshots[&text(&is["SnapshotId"])];
            assert_eq!(snapshot["VolumeId"], old.as_str(), "{name}");
            assert_eq!(tags(is)["runbook:run"], text(&show["run"]), "{name}");
            replaced.insert(old.clone());
        }
    }

    // What no machine has is what was replaced, and it says whose it is and until when.
    assert_eq!(after.loose(), replaced);
    for id in &replaced {
        let tags = tags(&after.volumes[id]);
        assert_eq!(tags["runbook:run"], text(&show["run"]));
        assert!(tags.contains_key("runbook:expires"), "{id}: {tags:?}");
    }
    // The ledger knows every snapshot and every volume that was made or replaced, and nothing else.
    let made: BTreeSet<String> =
        after.volumes.keys().filter(|id| !before.volumes.contains_key(*id)).cloned().collect();
    assert_eq!((after.snapshots.len(), made.len(), replaced.len()), (24, 4, 4));
    let there: BTreeSet<_> = after.snapshots.keys().chain(&made).chain(&replaced).cloned().collect();
    let ledger = user.ask(&["artifacts", "list", "--json"]).exits(0).json();
    let rows = ledger["artifacts"].as_array().expect("artifacts");
    let known: BTreeSet<_> = rows.iter().map(|row| text(&row["id"])).collect();
    assert_eq!(known, there);
    // Its policy has no right to look for orphans, and moto lets nobody call AWS Backup while it enforces rights.
    account.moto.trust_everybody();
    let orphans = user.ask(&["artifacts", "orphans", "--json"]).exits(0).json();
    assert_eq!(orphans["orphans"], json!([]), "{orphans}");
    assert!(after.snapshots.values().all(|one| tags(one).contains_key("runbook:expires")));
    assert!(!account.moto.log().contains("\" 500 "), "{}", account.moto.log());
}
