//! The inventory against moto, which has tags and states, and against ministack, which has resource groups.

use std::collections::{BTreeMap, BTreeSet};

use runbook_engine::{
    ids::{GroupName, TargetId},
    target::{Home, Target, TargetQuery},
};
use runbook_steps::ports::{fault::FaultKind, inventory::Inventory};
use runbook_test_servers::{Ministack, Moto, REGION, boto3, start_machines};

use crate::{aws, targets};

fn group() -> GroupName {
    GroupName::new("web")
}

fn by_tags(tags: &[(&str, &str)]) -> TargetQuery {
    TargetQuery::Aws {
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect(),
        ids: Vec::new(),
        resource_group: None,
        region: None,
        role: None,
        external_id: None,
    }
}

fn by_ids(ids: &[TargetId], role: Option<&str>) -> TargetQuery {
    TargetQuery::Aws {
        tags: BTreeMap::new(),
        ids: ids.to_vec(),
        resource_group: None,
        region: None,
        role: role.map(str::to_owned),
        external_id: None,
    }
}

fn ids(found: &[Target]) -> BTreeSet<TargetId> {
    found.iter().map(|target| target.id.clone()).collect()
}

#[tokio::test]
async fn tags_choose_machines_that_live_and_everything_a_plan_freezes_is_there() {
    let server = Moto::start();
    let endpoint = server.endpoint();
    let production =
        targets(&start_machines(&endpoint, 3, &[("Environment", "production"), ("Patch Group", "Linux")]));
    start_machines(&endpoint, 2, &[("Environment", "dev"), ("Patch Group", "Linux")]);
    boto3(&endpoint, &format!("boto3.client('ec2').terminate_instances(InstanceIds=['{}'])", production[2]));
    boto3(&endpoint, &format!("boto3.client('ec2').stop_instances(InstanceIds=['{}'])", production[1]));

    let aws = aws(&endpoint).await;
    let query = by_tags(&[("Environment", "production"), ("Patch Group", "Linux")]);
    let found = aws.resolve(&group(), &query).await.expect("an answer");
    assert_eq!(ids(&found), production[..2].iter().cloned().collect());

    let first = found.iter().find(|target| target.id == production[0]).expect("the first one");
    assert_eq!((first.name.as_str(), first.platform.as_str()), ("box-1", "linux"));
    assert_eq!(first.tags.get("Patch Group").map(String::as_str), Some("Linux"));
    assert!(first.image.as_deref().is_some_and(|image| image.starts_with("ami-")));
    assert!(first.root_volume.as_deref().is_some_and(|volume| volume.starts_with("vol-")));
    assert!(first.private_ip.is_some());
    let facts = first.ec2.as_ref().expect("what decides a restore");
    assert_eq!((facts.root_device_type.as_str(), facts.volumes, facts.spot), ("ebs", 1, false));
    assert!(facts.zone.starts_with(REGION), "{}", facts.zone);
    let caller = aws.caller(None, None).await.expect("an answer");
    let home = Home::Aws {
        account: Some(caller.account),
        region: Some(REGION.into()),
        role: None,
        external_id: None,
    };
    assert_eq!(first.home, home);

    assert_eq!(aws.resolve(&group(), &by_tags(&[("Environment", "nowhere")])).await.expect("an answer"), []);
    assert!(!server.log().contains("\" 500 "), "{}", server.log());
}

#[tokio::test]
async fn ids_choose_machines_and_one_that_is_not_there_is_named() {
    let server = Moto::start();
    let boxes = targets(&start_machines(&server.endpoint(), 3, &[]));
    let aws = aws(&server.endpoint()).await;
    let found = aws.resolve(&group(), &by_ids(&boxes[..2], None)).await.expect("an answer");
    assert_eq!(ids(&found), boxes[..2].iter().cloned().collect());

    let unknown = TargetId::new("i-00000000000000000");
    let fault =
        aws.resolve(&group(), &by_ids(std::slice::from_ref(&unknown), None)).await.expect_err("unknown");
    assert_eq!(fault.kind, FaultKind::NotFound);
    assert_eq!(fault.message, format!("there is no instance {unknown} in {REGION}"));
}

#[tokio::test]
async fn a_resource_group_chooses_its_members() {
    // moto does not group resources.
    let server = Ministack::start();
    let endpoint = server.endpoint();
    let boxes = targets(&start_machines(&endpoint, 2, &[("Tier", "front")]));
    start_machines(&endpoint, 1, &[("Tier", "back")]);
    let arns: Vec<String> =
        boxes.iter().map(|id| format!("'arn:aws:ec2:{REGION}:000000000000:instance/{id}'")).collect();
    boto3(
        &endpoint,
        "boto3.client('resource-groups').create_group(Name='front', ResourceQuery={'Type': 'TAG_FILTERS_1_0', \
         'Query': json.dumps({'ResourceTypeFilters': ['AWS::EC2::Instance'], \
         'TagFilters': [{'Key': 'Tier', 'Values': ['front']}]})})",
    );
    boto3(
        &endpoint,
        &format!(
            "boto3.client('resource-groups').group_resources(Group='front', ResourceArns=[{}])",
            arns.join(", ")
        ),
    );
    let query = TargetQuery::Aws {
        tags: BTreeMap::new(),
        ids: Vec::new(),
        resource_group: Some("front".into()),
        region: None,
        role: None,
        external_id: None,
    };
    let found = aws(&endpoint).await.resolve(&group(), &query).await.expect("an answer");
    assert_eq!(ids(&found), boxes.iter().cloned().collect());
}

#[tokio::test]
async fn more_machines_than_a_filter_takes_are_asked_for_in_chunks() {
    let server = Moto::start();
    let endpoint = server.endpoint();
    let image = "ec2.register_image(Name='many', ImageLocation='box')['ImageId']";
    let started = boto3(
        &endpoint,
        &format!(
            "(ec2 := boto3.client('ec2')) and [i['InstanceId'] for i in \
             ec2.run_instances(ImageId={image}, MinCount=230, MaxCount=230)['Instances']]"
        ),
    );
    let started = started.as_array().expect("ids").iter().map(|id| id.as_str().expect("an id"));
    let boxes: Vec<TargetId> = started.map(TargetId::new).collect();
    let found = aws(&endpoint).await.resolve(&group(), &by_ids(&boxes, None)).await.expect("an answer");
    assert_eq!(ids(&found), boxes.into_iter().collect());
}

#[tokio::test]
async fn machines_that_are_not_the_planned_ones_any_more_are_named() {
    let server = Moto::start();
    let endpoint = server.endpoint();
    let boxes = targets(&start_machines(&endpoint, 3, &[]));
    let aws = aws(&endpoint).await;
    let mut planned = aws.resolve(&group(), &by_ids(&boxes, None)).await.expect("an answer");
    assert_eq!(aws.inspect(&planned).await.expect("an answer"), BTreeMap::new());

    boto3(&endpoint, &format!("boto3.client('ec2').terminate_instances(InstanceIds=['{}'])", boxes[0]));
    planned.iter_mut().find(|target| target.id == boxes[1]).expect("the second one").image =
        Some("ami-other".into());
    let mut never = planned[2].clone();
    never.id = TargetId::new("i-00000000000000000");
    planned.push(never);
    let changes = aws.inspect(&planned).await.expect("an answer");
    let causes: BTreeMap<&TargetId, &str> = changes.iter().map(|(id, cause)| (id, cause.as_str())).collect();
    assert_eq!(causes.len(), 3, "{causes:?}");
    assert_eq!(causes[&boxes[0]], "the machine is gone");
    assert!(
        causes[&boxes[1]].starts_with("its image is ami-")
            && causes[&boxes[1]].ends_with("the plan has ami-other")
    );
    assert_eq!(causes[&TargetId::new("i-00000000000000000")], "the machine is gone");
}

#[tokio::test]
async fn a_role_of_another_account_is_assumed_and_the_planned_account_is_verified() {
    let server = Moto::start();
    let aws = aws(&server.endpoint()).await;
    let role = "arn:aws:iam::210987654321:role/patching";
    let caller = aws.caller(None, Some(role)).await.expect("an answer");
    assert_eq!((caller.account.as_str(), caller.arn.contains("patching/runbook")), ("210987654321", true));

    let planned = Target {
        id: TargetId::new("i-00000000000000000"),
        name: "web-1".into(),
        group: group(),
        private_ip: None,
        tags: BTreeMap::new(),
        vars: BTreeMap::new(),
        environment: None,
        owner: None,
        platform: "linux".into(),
        image: None,
        root_volume: None,
        ec2: None,
        home: Home::Aws {
            account: Some("111111111111".into()),
            region: None,
            role: Some(role.into()),
            external_id: None,
        },
    };
    let fault = aws.inspect(&[planned]).await.expect_err("another account");
    assert_eq!(fault.kind, FaultKind::Credentials);
    assert!(
        fault
            .message
            .starts_with("the credentials are for account 210987654321, the plan is for 111111111111")
    );
}
