//! Tags in requests and answers.

use std::collections::BTreeMap;

use super::{form::Form, refusal::refused, xml::Xml};
use crate::fault::Refusal;

/// The most tags on one resource (facts: CreateSnapshots).
const MOST_TAGS: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// The tags of a resource.
pub(super) fn show(xml: &mut Xml, tags: &BTreeMap<String, String>) {
    xml.list("tagSet", tags, |item, (key, value)| {
        item.text("key", key).text("value", value);
    });
}

/// `TagSpecification.N`: the tags for each of the kinds of resource that the operation makes.
pub(super) fn of_new<const N: usize>(
    form: &mut Form,
    kinds: [&str; N],
) -> Result<[BTreeMap<String, String>; N], Refusal> {
    let mut tags = [(); N].map(|()| BTreeMap::new());
    let mut given = [false; N];
    for mut specification in form.structures("TagSpecification")? {
        let kind = specification.required("ResourceType")?;
        let Some(place) = kinds.iter().position(|known| *known == kind) else {
            return Err(refused(
                "InvalidParameterValue",
                format!("'{kind}' is not a valid taggable resource type for this operation."),
            ));
        };
        if std::mem::replace(&mut given[place], true) {
            return Err(refused(
                "InvalidParameterValue",
                format!("The resource type '{kind}' is specified more than once."),
            ));
        }
        tags[place] = pairs(&mut specification)?
            .into_iter()
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect();
        specification.finish()?;
    }
    Ok(tags)
}

/// `Tag.N`: keys, each once, with their values where they have one.
pub(super) fn pairs(form: &mut Form) -> Result<BTreeMap<String, Option<String>>, Refusal> {
    let mut tags = BTreeMap::new();
    for mut tag in form.structures("Tag")? {
        let key = tag.required("Key")?;
        let value = tag.text("Value")?;
        tag.finish()?;
        if key.starts_with("aws:") {
            return Err(refused(
                "InvalidParameterValue",
                "Tag keys starting with 'aws:' are reserved for internal use",
            ));
        }
        let too_long = |what, most| {
            refused(
                "InvalidParameterValue",
                format!("Tag {what} exceeds the maximum length of {most} characters"),
            )
        };
        if key.chars().count() > LONGEST_KEY {
            return Err(too_long("key", LONGEST_KEY));
        }
        if value.as_deref().is_some_and(|value| value.chars().count() > LONGEST_VALUE) {
            return Err(too_long("value", LONGEST_VALUE));
        }
        if tags.contains_key(&key) {
            return Err(refused("InvalidParameterValue", format!("Duplicate tag key '{key}' specified.")));
        }
        tags.insert(key, value);
    }
    if tags.len() > MOST_TAGS {
        return Err(refused(
            "TagLimitExceeded",
            "The maximum number of Tags for a resource has been reached.",
        ));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::{of_new, pairs};
    use crate::ec2::form::Form;

    fn form(body: &str) -> Form {
        Form::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn tags_of_new_resources() {
        let body = "TagSpecification.1.ResourceType=snapshot&TagSpecification.1.Tag.1.Key=a\
                    &TagSpecification.1.Tag.1.Value=b&TagSpecification.1.Tag.2.Key=c";
        let [tags] = of_new(&mut form(body), ["snapshot"]).unwrap();
        assert_eq!(tags, [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())].into());
        let refusal = of_new(&mut form(body), ["volume"]).unwrap_err();
        assert_eq!(refusal.code, "InvalidParameterValue");
    }

    #[test]
    fn tags_that_cannot_be() {
        let refused = |body: &str| pairs(&mut form(body)).unwrap_err().code;
        assert_eq!(refused("Tag.1.Key=aws:x&Tag.1.Value="), "InvalidParameterValue");
        assert_eq!(refused("Tag.1.Key=a&Tag.2.Key=a"), "InvalidParameterValue");
        assert_eq!(refused(&format!("Tag.1.Key={}", "k".repeat(129))), "InvalidParameterValue");
        let many: String = (0..51).map(|n| format!("&Tag.{n}.Key=k{n}")).collect();
        assert_eq!(refused(&many[1..]), "TagLimitExceeded");
    }
}
