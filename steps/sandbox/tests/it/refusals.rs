//! What is not known is refused, in the service's own format.

use serde_json::json;

use crate::rig::{FLEET, Rig, signed, ssm};

#[tokio::test]
async fn unknown_parameters_and_broken_limits() {
    let rig = Rig::start(FLEET).await;
    let ids: Vec<_> = (0..51).map(|n| format!("i-{n:017x}")).collect();
    let one = "i-00000000000000001";
    let shell = "AWS-RunShellScript";
    for (operation, body, code) in [
        ("ListDocuments", json!({ "Colour": "red" }), "ValidationException"),
        (
            "ListDocuments",
            json!({ "Filters": [{ "Key": "Owner", "Values": [], "Colour": 1 }] }),
            "ValidationException",
        ),
        ("ListDocuments", json!({ "MaxResults": 51 }), "ValidationException"),
        ("ListDocuments", json!({ "MaxResults": "5" }), "SerializationException"),
        ("ListDocuments", json!({ "Filters": [{ "Key": "Colour", "Values": ["red"] }] }), "InvalidFilterKey"),
        ("GetDocument", json!({}), "ValidationException"),
        ("GetDocument", json!({ "Name": "AWS-Nothing" }), "InvalidDocument"),
        ("GetDocument", json!({ "Name": shell, "DocumentVersion": "99" }), "InvalidDocumentVersion"),
        ("SendCommand", json!({ "DocumentName": shell, "InstanceIds": ids }), "ValidationException"),
        ("SendCommand", json!({ "DocumentName": shell, "InstanceIds": [one] }), "InvalidParameters"),
        (
            "SendCommand",
            json!({ "DocumentName": "AWS-RunPatchBaseline", "InstanceIds": [one],
                    "Parameters": { "Operation": ["Scan"], "executionTimeout": ["60"] } }),
            "InvalidParameters",
        ),
        (
            "SendCommand",
            json!({ "DocumentName": shell, "InstanceIds": [one, one], "Parameters": { "commands": ["ls"] } }),
            "DuplicateInstanceId",
        ),
        (
            "SendCommand",
            json!({ "DocumentName": shell, "InstanceIds": [one], "Parameters": { "commands": ["ls"] },
                    "Comment": "x".repeat(101) }),
            "ValidationException",
        ),
        (
            "SendCommand",
            json!({ "DocumentName": shell, "InstanceIds": [one], "Parameters": { "commands": ["ls"] },
                    "MaxConcurrency": "0" }),
            "ValidationException",
        ),
        (
            "SendCommand",
            json!({ "DocumentName": shell, "Parameters": { "commands": ["ls"] } }),
            "ValidationException",
        ),
        ("DescribeInstanceInformation", json!({ "MaxResults": 4 }), "ValidationException"),
        ("PutParameter", json!({}), "UnknownOperationException"),
    ] {
        let answer = rig.ssm(operation, &body).await;
        assert_eq!((answer.status, &answer.json()["__type"]), (400, &json!(code)), "{operation} {body}");
    }
    assert_eq!(rig.send(&ssm("ListDocuments"), "[]").await.unwrap().status, 400);
}

#[tokio::test]
async fn each_service_has_its_own_format() {
    let rig = Rig::start(FLEET).await;
    let sts = rig.sts("Action=GetCallerIdentity&Version=2011-06-15&Colour=red").await.unwrap();
    assert_eq!(sts.status, 400);
    assert!(sts.body.contains("<Error><Type>Sender</Type><Code>ValidationError</Code>"), "{}", sts.body);
    let sts = rig.sts("Action=Dance&Version=2011-06-15").await.unwrap();
    assert!(sts.body.contains("<Code>InvalidAction</Code>"), "{}", sts.body);
    let cloudwatch = |body: &'static str| {
        let head = format!("POST /\n{}", signed("test", "monitoring"));
        let rig = &rig;
        async move { rig.send(&head, body).await.unwrap() }
    };
    let alarms = cloudwatch("Action=DescribeAlarms&Version=2010-08-01&Colour=red").await;
    assert!(alarms.body.contains("<Code>ValidationError</Code>"), "{}", alarms.body);
    let unsigned = rig.send("POST /", "").await.unwrap();
    assert_eq!((unsigned.status, &unsigned.json()["__type"]), (403, &json!("MissingAuthenticationToken")));
    let nowhere = rig.send(&format!("POST /\n{}", signed("test", "s3")), "").await.unwrap();
    assert_eq!(nowhere.json()["__type"], json!("UnknownServiceException"));
}

#[tokio::test]
async fn roles_and_who_one_is() {
    let rig = Rig::start(FLEET).await;
    let who = rig.sts("Action=GetCallerIdentity&Version=2011-06-15").await.unwrap();
    assert!(who.body.contains("<Account>123456789012</Account>"), "{}", who.body);
    let assume = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=run1&RoleArn=arn%3Aaws%3Aiam%3A%3A";
    let plain = rig.sts(&format!("{assume}210987654321%3Arole%2Fpatch")).await.unwrap();
    assert_eq!(plain.status, 200);
    assert!(plain.body.contains("<AccessKeyId>ASIA210987654321"), "{}", plain.body);
    let key = plain.body.split("<AccessKeyId>").nth(1).unwrap().split('<').next().unwrap();
    let head = format!("POST /\n{}", signed(key, "sts"));
    let who = rig.send(&head, "Action=GetCallerIdentity&Version=2011-06-15").await.unwrap();
    assert!(who.body.contains("arn:aws:sts::210987654321:assumed-role/patch/run1"), "{}", who.body);
    let guarded = format!("{assume}210987654321%3Arole%2Fpatch-external-42");
    let without = rig.sts(&guarded).await.unwrap();
    assert_eq!(without.status, 403);
    assert!(without.body.contains("<Code>AccessDenied</Code>"), "{}", without.body);
    assert_eq!(rig.sts(&format!("{guarded}&ExternalId=42")).await.unwrap().status, 200);
}
