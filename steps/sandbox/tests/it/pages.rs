//! Pages and their tokens.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rig::{FLEET, Rig, signed};

fn names(page: &Value) -> Vec<String> {
    let items = page["DocumentIdentifiers"].as_array().unwrap();
    items.iter().map(|item| item["Name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_are_as_small_as_asked_and_miss_nothing() {
    let rig = Rig::start(FLEET).await;
    let mut asked = json!({ "MaxResults": 1 });
    let mut seen = Vec::new();
    loop {
        let page = rig.ssm("ListDocuments", &asked).await.json();
        assert!(names(&page).len() <= 1);
        seen.extend(names(&page));
        match page.get("NextToken") {
            Some(token) => asked["NextToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 4);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), 4);
}

#[tokio::test]
async fn a_token_is_of_one_request_of_one_account() {
    let rig = Rig::start(FLEET).await;
    let token = rig.ssm("ListDocuments", &json!({ "MaxResults": 1 })).await.json()["NextToken"].clone();
    let refused = |answer: crate::rig::Answer| {
        assert_eq!((answer.status, &answer.json()["__type"]), (400, &json!("InvalidNextToken")));
    };
    refused(rig.ssm("ListDocuments", &json!({ "NextToken": "AAAA" })).await);
    let filters = json!([{ "Key": "Owner", "Values": ["Amazon"] }]);
    refused(rig.ssm("ListDocuments", &json!({ "NextToken": token, "Filters": filters })).await);
    let head =
        format!("POST /\n{}X-Amz-Target: AmazonSSM.ListDocuments\n", signed("AKIA999999999999SBOX", "ssm"));
    refused(rig.send(&head, &json!({ "NextToken": token }).to_string()).await.unwrap());
    // It does not last.
    rig.post("/_sandbox/clock", &json!({ "by": "25h" })).await;
    refused(rig.ssm("ListDocuments", &json!({ "NextToken": token })).await);
}
