//! Documents: `ListDocuments`, `DescribeDocument`, `GetDocument`.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    document::{DOCUMENTS, Document},
    listing::Which,
    time::epoch,
};
use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
};

/// When AWS made them; any time before the world begins.
fn made() -> Value {
    epoch(Timestamp::constant(1_500_000_000, 0))
}

/// `ListDocuments`.
pub(super) async fn list_documents(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:ListDocuments", (1, 50, 50))?;
    let mut filters = Vec::new();
    for mut filter in asked.structures("DocumentFilterList", 1, usize::MAX)? {
        filters.push((filter.required("key", 128)?, vec![filter.required("value", 256)?]));
        filter.finish()?;
    }
    for mut filter in asked.structures("Filters", 0, 6)? {
        let values = filter.texts("Values", 0, usize::MAX)?.unwrap_or_default();
        filters.push((filter.required("Key", 128)?, values));
        filter.finish()?;
    }
    asked.finish()?;
    let known = ["Name", "Owner", "PlatformTypes", "DocumentType"];
    if let Some((key, _)) = filters.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        return Err(Refusal::new("InvalidFilterKey", format!("the filter key {key} is not valid")).into());
    }
    let list = async {
        call.home().call("ssm:ListDocuments").await?;
        let found = DOCUMENTS.iter().filter(|document| {
            filters.iter().all(|(key, values)| {
                values.iter().any(|value| match key.as_str() {
                    "Name" => document.name.starts_with(value),
                    "Owner" => ["Amazon", "Public", "All"].contains(&value.as_str()),
                    "PlatformTypes" => document.platforms.contains(&value.as_str()),
                    _ => value == "Command",
                })
            })
        });
        Ok(found
            .map(|document| {
                json!({
                    "Name": document.name,
                    "CreatedDate": made(),
                    "Owner": "Amazon",
                    "PlatformTypes": document.platforms,
                    "DocumentVersion": "1",
                    "DocumentType": "Command",
                    "SchemaVersion": document.schema,
                    "DocumentFormat": "JSON",
                    "Tags": [],
                })
            })
            .collect())
    };
    which.page(call, "DocumentIdentifiers", list).await
}

/// `DescribeDocument`.
pub(super) async fn describe_document(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let document = find(&mut asked)?;
    asked.finish()?;
    call.home().call("ssm:DescribeDocument").await?;
    let parameters: Vec<_> = document
        .parameters
        .iter()
        .map(|parameter| {
            let mut value = json!({
                "Name": parameter.name,
                "Type": parameter.kind,
                "Description": parameter.description,
            });
            if let Some(usual) = parameter.usual {
                value["DefaultValue"] = json!(usual);
            }
            value
        })
        .collect();
    let hash: String =
        Sha256::digest(document.content().to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({ "Document": {
        "Hash": hash,
        "HashType": "Sha256",
        "Name": document.name,
        "Owner": "Amazon",
        "CreatedDate": made(),
        "Status": "Active",
        "DocumentVersion": "1",
        "Description": document.description,
        "Parameters": parameters,
        "PlatformTypes": document.platforms,
        "DocumentType": "Command",
        "SchemaVersion": document.schema,
        "LatestVersion": "1",
        "DefaultVersion": "1",
        "DocumentFormat": "JSON",
        "Tags": [],
    } }))
}

/// `GetDocument`.
pub(super) async fn get_document(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let document = find(&mut asked)?;
    let format = asked.word("DocumentFormat", &["YAML", "JSON", "TEXT"])?;
    asked.finish()?;
    if format.as_deref().is_some_and(|format| format != "JSON") {
        return Err(Refusal::new("ValidationException", "the sandbox has documents in JSON only").into());
    }
    call.home().call("ssm:GetDocument").await?;
    Ok(json!({
        "Name": document.name,
        "CreatedDate": made(),
        "DocumentVersion": "1",
        "Status": "Active",
        "Content": document.content().to_string(),
        "DocumentType": "Command",
        "DocumentFormat": "JSON",
        "AttachmentsContent": [],
    }))
}

fn find(asked: &mut Members) -> Result<&'static Document, Refusal> {
    let name = asked.required("Name", 450)?;
    let version = asked.text("DocumentVersion", 64)?;
    let version_name = asked.text("VersionName", 128)?;
    let document = Document::find(&name).ok_or_else(|| no_document(&name))?;
    check_version(version.as_deref())?;
    match version_name {
        None => Ok(document),
        Some(name) => Err(Refusal::new("InvalidDocumentVersion", format!("no version is called {name}"))),
    }
}

/// What is said of a document that is not there.
pub(super) fn no_document(name: &str) -> Refusal {
    Refusal::new("InvalidDocument", format!("Document with name {name} does not exist."))
}

/// AWS's documents have one version here.
pub(super) fn check_version(version: Option<&str>) -> Result<(), Refusal> {
    match version {
        None | Some("$DEFAULT" | "$LATEST" | "1") => Ok(()),
        Some(other) => Err(Refusal::new("InvalidDocumentVersion", format!("there is no version {other}"))),
    }
}
