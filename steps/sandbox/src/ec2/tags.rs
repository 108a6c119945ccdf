//! CreateTags, DeleteTags, DescribeTags.

use std::collections::BTreeMap;

use runbook_steps::ports::ec2::{Ec2, Proof};

use super::{
    asked::Asked,
    filter::{Filtered, Filters},
    page::Range,
    refusal::refused,
    tagging,
    volumes::done,
    xml::Xml,
};
use crate::fault::{Refusal, Trouble};

/// The most resources of one call (facts: Pages and batches).
const MOST_RESOURCES: usize = 1_000;

pub(super) async fn create(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let resources = resources(&mut asked)?;
    let tags: BTreeMap<_, _> = tagging::pairs(&mut asked.form)?
        .into_iter()
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect();
    if tags.is_empty() {
        return Err(asked.form.missing("Tag").into());
    }
    asked.writes(|| Proof::CreateTags(resources.clone())).await?;
    asked.account.create_tags(&resources, &tags).await?;
    Ok(done())
}

/// A tag that is named with a value is deleted only where it has that value; without any tag all are.
pub(super) async fn delete(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let resources = resources(&mut asked)?;
    let tags = tagging::pairs(&mut asked.form)?;
    asked.taken("ec2:DeleteTags").await?;
    asked.account.delete_tags(&resources, &tags).await?;
    Ok(done())
}

fn resources(asked: &mut Asked<'_>) -> Result<Vec<String>, Refusal> {
    let resources = asked.form.texts("ResourceId")?;
    if resources.is_empty() {
        return Err(asked.form.missing("ResourceId"));
    }
    if resources.len() > MOST_RESOURCES {
        let message = format!("The maximum number of resources in a call is {MOST_RESOURCES}");
        return Err(refused("InvalidParameterValue", message));
    }
    if let Some(odd) = resources.iter().find(|id| kind(id).is_none()) {
        return Err(refused("InvalidID", format!("The ID '{odd}' is not valid")));
    }
    Ok(resources)
}

pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let filters = Filters::take::<Tag>(&mut asked.form)?;
    let range = Range::take(&mut asked.form, 5, 1_000)?;
    asked.taken("ec2:DescribeTags").await?;
    let found = asked
        .page("ec2:DescribeTags", &range, &[], async {
            let all = asked.account.all_tags().await?;
            let tags = all.into_iter().flat_map(|(resource, tags)| {
                tags.into_iter().map(move |(key, value)| Tag { resource: resource.clone(), key, value })
            });
            Ok(filters.keep(tags.collect()))
        })
        .await?;
    let mut xml = Xml::default();
    xml.list("tagSet", &found.items, |item, tag| {
        item.text("resourceId", &tag.resource).maybe("resourceType", kind(&tag.resource));
        item.text("key", &tag.key).text("value", &tag.value);
    });
    xml.maybe("nextToken", found.next);
    Ok(xml)
}

/// A tag of a resource.
#[derive(Clone)]
struct Tag {
    resource: String,
    key: String,
    value: String,
}

/// The kind of a resource, by its id.
fn kind(id: &str) -> Option<&'static str> {
    let (prefix, rest) = id.split_once('-')?;
    let kind = match prefix {
        "i" => "instance",
        "vol" => "volume",
        "snap" => "snapshot",
        "ami" => "image",
        "replacevol" => "replace-root-volume-task",
        _ => return None,
    };
    (!rest.is_empty()).then_some(kind)
}

impl Filtered for Tag {
    const NAMES: &'static [&'static str] = &["key", "resource-id", "resource-type", "value"];

    fn values(&self, name: &str) -> Vec<String> {
        match name {
            "key" => vec![self.key.clone()],
            "resource-id" => vec![self.resource.clone()],
            "resource-type" => kind(&self.resource).map(str::to_owned).into_iter().collect(),
            "value" => vec![self.value.clone()],
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> Option<&BTreeMap<String, String>> {
        None
    }
}
