//! Tags, between EC2's list and the port's map.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};

/// The port's map.
pub(crate) fn map(tags: Option<&[Tag]>) -> BTreeMap<String, String> {
    let tags = tags.unwrap_or_default().iter();
    tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

/// EC2's list.
pub(crate) fn tags(map: &BTreeMap<String, String>) -> Vec<Tag> {
    map.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// What puts tags on what a call makes; nothing where there are none.
pub(crate) fn specification(
    kind: ResourceType,
    map: &BTreeMap<String, String>,
) -> Option<Vec<TagSpecification>> {
    (!map.is_empty())
        .then(|| vec![TagSpecification::builder().resource_type(kind).set_tags(Some(tags(map))).build()])
}
