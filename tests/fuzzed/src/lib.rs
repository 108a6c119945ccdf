//! What the fuzzer calls: one function for each kind of text that comes from outside. Whatever its bytes are, it ends in
//! something usable or in a reason; a panic is a finding.
//!
//! `fuzz/run.sh` runs them under libFuzzer. The test of this crate calls each with the corpus that is kept in
//! `fuzz/corpus`, and with changes of it that are the same every time.

mod answers;
mod documents;
mod inventories;
mod plans;
mod replay;

/// A kind of text from outside.
pub struct Target {
    /// Its name, which is that of its corpus.
    pub name: &'static str,
    /// Takes it.
    pub take: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 17] = [
    Target { name: "read", take: documents::read },
    Target { name: "test_file", take: documents::test },
    Target { name: "plan", take: plans::made },
    Target { name: "plan_file", take: plans::saved },
    Target { name: "fleet", take: documents::fleet },
    Target { name: "profile", take: documents::profile },
    Target { name: "inventory_file", take: inventories::file },
    Target { name: "listing", take: inventories::listing },
    Target { name: "netbox", take: inventories::netbox },
    Target { name: "journal", take: answers::journal },
    Target { name: "replay", take: replay::replay },
    Target { name: "host", take: answers::host },
    Target { name: "job", take: answers::job },
    Target { name: "log", take: answers::log },
    Target { name: "playbook", take: answers::playbook },
    Target { name: "aws_fault", take: answers::aws_fault },
    Target { name: "control", take: answers::control },
];

/// Takes the bytes as the target of this name does.
///
/// # Panics
/// A finding; or there is no such target.
pub fn take(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    (target.take)(bytes);
}
