//! Writes what is needed as IAM wants it.

use std::collections::{BTreeMap, BTreeSet};

use runbook_engine::{ids::GroupName, target::TargetQuery};
use serde_json::{Map, Value, json};

use super::{
    table::{self, On, Thing},
    used::{Identity, Used},
};

/// The most characters of a managed policy, white space not counted
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub const MOST_CHARACTERS: usize = 6_144;

/// The most machines that are named by their ids.
const MOST_IDS: usize = 20;

/// One policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Who gets it.
    pub identity: Identity,
    /// The account that it is for; absent: whichever the identity is in.
    pub account: Option<String>,
    /// The groups of machines that it is about.
    pub groups: Vec<GroupName>,
    /// What IAM takes.
    pub policy: Value,
    /// Without white space.
    pub characters: usize,
}

/// The policy of each identity; none for one that needs no right.
pub fn documents(used: &BTreeMap<Identity, Used>) -> Vec<Document> {
    used.iter().filter_map(|(identity, used)| document(identity, used)).collect()
}

fn document(identity: &Identity, used: &Used) -> Option<Document> {
    let (partition, account) = match identity {
        Identity::Role(arn) => {
            let mut parts = arn.split(':').skip(1);
            let partition = parts.next().filter(|partition| !partition.is_empty());
            (partition.map(str::to_owned), parts.nth(2).filter(|account| !account.is_empty()))
        }
        Identity::Caller => (None, None),
    };
    let writer = Writer {
        used,
        partition: partition.unwrap_or_else(|| partition_of(used)),
        account: account.unwrap_or("*"),
    };
    let statements = writer.statements();
    if statements.is_empty() {
        return None;
    }
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    Some(Document {
        identity: identity.clone(),
        account: account.map(str::to_owned),
        groups: used.groups.keys().cloned().collect(),
        // No text in it has white space that would not count.
        characters: policy.to_string().chars().filter(|c| !c.is_whitespace()).count(),
        policy,
    })
}

/// China and GovCloud have ARNs of their own.
fn partition_of(used: &Used) -> String {
    let regions: BTreeSet<&str> = used.groups.values().filter_map(region).collect();
    let all = |prefix: &str| !regions.is_empty() && regions.iter().all(|region| region.starts_with(prefix));
    let partition = if all("cn-") {
        "aws-cn"
    } else if all("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    };
    partition.to_owned()
}

fn region(query: &TargetQuery) -> Option<&str> {
    match query {
        TargetQuery::Aws { region, .. } => region.as_deref(),
        _ => None,
    }
}

struct Writer<'a> {
    used: &'a Used,
    partition: String,
    account: &'a str,
}

/// Resources, and under which condition; with the name that a statement on them gets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Limit {
    name: &'static str,
    resources: Vec<String>,
    /// Operator, key and values.
    condition: BTreeMap<(&'static str, String), Vec<String>>,
}

impl Limit {
    fn new(name: &'static str, resources: Vec<String>) -> Self {
        Self { name, resources, condition: BTreeMap::new() }
    }

    fn when(mut self, operator: &'static str, key: impl Into<String>, values: Vec<String>) -> Self {
        self.condition.insert((operator, key.into()), values);
        self
    }
}

impl Writer<'_> {
    fn statements(&self) -> Vec<Value> {
        let mut limits: BTreeMap<Limit, BTreeSet<&str>> = BTreeMap::new();
        for (right, groups) in &self.used.rights {
            // What has no row is granted as widely as it may be needed; a test sees to it that there is none.
            let on = table::row_of(right).map_or(&[On::Anything][..], |row| row.on);
            for limit in on.iter().flat_map(|on| self.limits(*on, groups)) {
                limits.entry(limit).or_default().insert(right);
            }
        }
        if !self.used.assumes.is_empty() {
            let roles = self.used.assumes.iter().cloned().collect();
            limits.entry(Limit::new("AssumeRoles", roles)).or_default().insert("sts:AssumeRole");
        }
        let mut names: BTreeMap<&str, u32> = BTreeMap::new();
        limits
            .into_iter()
            .map(|(limit, rights)| {
                let number = names.entry(limit.name).and_modify(|number| *number += 1).or_insert(1);
                let sid = if *number > 1 { format!("{}{number}", limit.name) } else { limit.name.to_owned() };
                statement(&sid, &limit, &rights)
            })
            .collect()
    }

    fn limits(&self, on: On, groups: &BTreeSet<GroupName>) -> Vec<Limit> {
        let run = "runbook:run";
        match on {
            On::Anything => vec![Limit::new("Anything", vec!["*".to_owned()])],
            On::Machines => self.machines(groups),
            On::Documents => vec![Limit::new("Documents", self.documents(groups))],
            On::Existing(thing) => vec![Limit::new(
                name(thing, ["Snapshots", "Images", "Volumes", "Replacements"]),
                self.things(thing, groups),
            )],
            On::New(thing) => {
                let name = name(thing, ["NewSnapshots", "NewImages", "NewVolumes", "NewReplacements"]);
                let key = format!("aws:RequestTag/{run}");
                vec![Limit::new(name, self.things(thing, groups)).when(
                    "StringLike",
                    key,
                    vec!["*".to_owned()],
                )]
            }
            On::Ours(thing) => {
                let name = name(thing, ["OwnSnapshots", "OwnImages", "OwnVolumes", "OwnReplacements"]);
                let key = format!("aws:ResourceTag/{run}");
                vec![Limit::new(name, self.things(thing, groups)).when(
                    "StringLike",
                    key,
                    vec!["*".to_owned()],
                )]
            }
            On::Tagged => self.tagged(groups),
            On::Vaults => {
                let vaults = if self.used.vaults.contains("*") {
                    vec!["*"]
                } else {
                    self.used.vaults.iter().map(String::as_str).collect()
                };
                let arn = |region: &str| {
                    vaults
                        .iter()
                        .map(|vault| {
                            self.arn("backup", region, self.account, &format!("backup-vault:{vault}"))
                        })
                        .collect::<Vec<_>>()
                };
                vec![Limit::new("Vaults", self.each_region(groups, arn))]
            }
            On::RecoveryPoints => {
                let arn = |region: &str| {
                    vec![
                        self.arn("backup", region, self.account, "recovery-point:*"),
                        self.arn("ec2", region, "", "image/*"),
                    ]
                };
                vec![Limit::new("RecoveryPoints", self.each_region(groups, arn))]
            }
            On::PassedRoles => {
                let roles: Vec<String> = if self.used.passed.is_empty() || self.used.passed.contains("*") {
                    vec!["*".to_owned()]
                } else {
                    self.used.passed.iter().cloned().collect()
                };
                let service = vec!["backup.amazonaws.com".to_owned()];
                vec![Limit::new("PassRoles", roles).when("StringEquals", "iam:PassedToService", service)]
            }
            On::Groups => {
                let named = self.queries(groups).filter_map(|query| match query {
                    TargetQuery::Aws { resource_group: Some(group), region, .. } => {
                        let region = region.as_deref().unwrap_or("*");
                        // A group has a part of its own behind its name in newer ARNs.
                        Some(self.arn("resource-groups", region, self.account, &format!("group/{group}*")))
                    }
                    _ => None,
                });
                vec![Limit::new("ResourceGroups", named.collect())]
            }
        }
    }

    fn queries<'b>(&'b self, groups: &'b BTreeSet<GroupName>) -> impl Iterator<Item = &'b TargetQuery> {
        groups.iter().filter_map(|group| self.used.groups.get(group))
    }

    /// Groups that are chosen by tags share one limit: each tag that all of them have, with all of their values. Groups
    /// that are chosen by ids name them. Others may hold any machine.
    fn machines(&self, groups: &BTreeSet<GroupName>) -> Vec<Limit> {
        let mut tagged: Vec<(&BTreeMap<String, Vec<String>>, GroupName)> = Vec::new();
        let mut named = BTreeSet::new();
        let mut any = BTreeSet::new();
        for group in groups {
            match self.used.groups.get(group) {
                Some(TargetQuery::Aws { tags, .. }) if !tags.is_empty() => tagged.push((tags, group.clone())),
                Some(TargetQuery::Aws { ids, region, resource_group: None, .. })
                    if !ids.is_empty() && ids.len() <= MOST_IDS =>
                {
                    let region = region.as_deref().unwrap_or("*");
                    named.extend(
                        ids.iter().map(|id| self.arn("ec2", region, self.account, &format!("instance/{id}"))),
                    );
                }
                _ => drop(any.insert(group.clone())),
            }
        }
        let mut limits = Vec::new();
        if !any.is_empty() {
            limits.push(Limit::new("Machines", self.instances(&any)));
        }
        if !named.is_empty() {
            limits.push(Limit::new("Machines", named.into_iter().collect()));
        }
        if let Some(((first, _), others)) = tagged.split_first() {
            let of: BTreeSet<GroupName> = tagged.iter().map(|(_, group)| group.clone()).collect();
            let mut limit = Limit::new("Machines", self.instances(&of));
            for key in first.keys().filter(|key| others.iter().all(|(tags, _)| tags.contains_key(*key))) {
                let values: BTreeSet<&String> =
                    tagged.iter().filter_map(|(tags, _)| tags.get(key)).flatten().collect();
                // `${` begins a variable of the policy's.
                if key.contains("${") || values.iter().any(|value| value.contains("${")) {
                    continue;
                }
                let pattern = values.iter().any(|value| value.contains(['*', '?']));
                let operator = if pattern { "StringLike" } else { "StringEquals" };
                limit = limit.when(
                    operator,
                    format!("aws:ResourceTag/{key}"),
                    values.into_iter().cloned().collect(),
                );
            }
            limits.push(limit);
        }
        limits
    }

    fn instances(&self, groups: &BTreeSet<GroupName>) -> Vec<String> {
        self.each_region(groups, |region| vec![self.arn("ec2", region, self.account, "instance/*")])
    }

    /// AWS's own documents have no account.
    fn documents(&self, groups: &BTreeSet<GroupName>) -> Vec<String> {
        self.each_region(groups, |region| {
            let of = |name: &String| match name.as_str() {
                arn if arn.starts_with("arn:") => arn.to_owned(),
                own if own.starts_with("AWS-") => self.arn("ssm", region, "", &format!("document/{own}")),
                name => self.arn("ssm", region, self.account, &format!("document/{name}")),
            };
            self.used.documents.iter().map(of).collect()
        })
    }

    fn things(&self, thing: Thing, groups: &BTreeSet<GroupName>) -> Vec<String> {
        self.each_region(groups, |region| {
            vec![match thing {
                Thing::Snapshot => self.arn("ec2", region, "", "snapshot/*"),
                Thing::Image => self.arn("ec2", region, "", "image/*"),
                Thing::Volume => self.arn("ec2", region, self.account, "volume/*"),
                Thing::ReplaceTask => self.arn("ec2", region, self.account, "replace-root-volume-task/*"),
            }]
        })
    }

    /// Tags are put on things while they are made; a restore also marks the volumes that it replaces, and puts the old
    /// tags back on what AWS made.
    fn tagged(&self, groups: &BTreeSet<GroupName>) -> Vec<Limit> {
        let makers = [
            ("ec2:CreateReplaceRootVolumeTask", Thing::ReplaceTask),
            ("ec2:CreateSnapshots", Thing::Snapshot),
            ("ec2:CreateVolume", Thing::Volume),
        ];
        let used: Vec<_> = makers.iter().filter(|(right, _)| self.used.rights.contains_key(right)).collect();
        let mut limits = Vec::new();
        if !used.is_empty() {
            let things = used.iter().flat_map(|(_, thing)| self.things(*thing, groups)).collect();
            let calls =
                used.iter().filter_map(|(right, _)| Some(right.split_once(':')?.1.to_owned())).collect();
            limits.push(Limit::new("TagsOfNew", things).when("StringEquals", "ec2:CreateAction", calls));
        }
        if self.used.tags_volumes {
            limits.push(Limit::new("Volumes", self.things(Thing::Volume, groups)));
        }
        if self.used.tags_machines {
            limits.push(Limit::new("TagsOfMachines", self.instances(groups)));
        }
        limits
    }

    /// Once for each Region that these groups are in; `*` where one does not say.
    fn each_region(&self, groups: &BTreeSet<GroupName>, arns: impl Fn(&str) -> Vec<String>) -> Vec<String> {
        let regions: BTreeSet<&str> =
            self.queries(groups).map(|query| region(query).unwrap_or("*")).collect();
        if regions.contains("*") {
            return arns("*");
        }
        regions.into_iter().flat_map(arns).collect()
    }

    fn arn(&self, service: &str, region: &str, account: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{region}:{account}:{resource}", self.partition)
    }
}

fn name(thing: Thing, names: [&'static str; 4]) -> &'static str {
    match thing {
        Thing::Snapshot => names[0],
        Thing::Image => names[1],
        Thing::Volume => names[2],
        Thing::ReplaceTask => names[3],
    }
}

/// One text where there is one, else a list: it is shorter.
fn one_or_all(texts: Vec<String>) -> Value {
    match <[String; 1]>::try_from(texts) {
        Ok([only]) => Value::String(only),
        Err(texts) => json!(texts),
    }
}

fn statement(sid: &str, limit: &Limit, rights: &BTreeSet<&str>) -> Value {
    let mut statement = Map::from_iter([
        ("Sid".to_owned(), json!(sid)),
        ("Effect".to_owned(), json!("Allow")),
        ("Action".to_owned(), one_or_all(rights.iter().map(|right| (*right).to_owned()).collect())),
        ("Resource".to_owned(), one_or_all(limit.resources.clone())),
    ]);
    let mut conditions: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for ((operator, key), values) in &limit.condition {
        conditions.entry(operator).or_default().insert(key.clone(), one_or_all(values.clone()));
    }
    if !conditions.is_empty() {
        statement.insert("Condition".to_owned(), json!(conditions));
    }
    Value::Object(statement)
}
