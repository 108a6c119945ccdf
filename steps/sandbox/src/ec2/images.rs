//! Images: DescribeImages, DeregisterImage.

use std::collections::BTreeMap;

use runbook_steps::ports::ec2::{Ec2, Image};

use super::{
    asked::Asked,
    filter::{Filtered, Filters},
    page::{self, Range},
    tagging,
    volumes::done,
    xml::Xml,
};
use crate::fault::Trouble;

const MOST_IDS: usize = 1_000;
const MALFORMED: &str = "InvalidAMIID.Malformed";

/// There are no images of others here: every owner but `self` and this account has none.
pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = page::ids(&mut asked.form, "ImageId", "ami-", MALFORMED, MOST_IDS)?;
    let owners = asked.form.texts("Owner")?;
    asked.form.texts("ExecutableBy")?;
    asked.form.flag("IncludeDeprecated")?;
    asked.form.flag("IncludeDisabled")?;
    let filters = Filters::take::<Image>(&mut asked.form)?;
    let range = Range::take(&mut asked.form, 1, 1_000)?;
    asked.taken("ec2:DescribeImages").await?;
    let ours = owners.is_empty() || owners.iter().any(|owner| owner == "self" || owner == asked.call.account);
    let found = asked
        .page("ec2:DescribeImages", &range, &ids, async {
            let all = asked.account.all_images().await?;
            let found = page::with_ids(all, &ids, |image| &image.id, "InvalidAMIID.NotFound", "image id")?;
            Ok(if ours { filters.keep(found) } else { Vec::new() })
        })
        .await?;
    let mut xml = Xml::default();
    let owner = asked.call.account;
    xml.list("imagesSet", &found.items, |item, image| show(item, image, owner));
    xml.maybe("nextToken", found.next);
    Ok(xml)
}

pub(super) async fn deregister(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let id = page::required_id(&mut asked.form, "ImageId", "ami-", MALFORMED)?;
    asked.form.word("DeleteAssociatedSnapshots", &["false"])?;
    asked.taken("ec2:DeregisterImage").await?;
    asked.account.deregister_image(&id).await?;
    Ok(done())
}

fn show(xml: &mut Xml, image: &Image, owner: &str) {
    xml.text("imageId", &image.id).text("imageLocation", format_args!("{owner}/{}", image.id));
    xml.text("imageState", &image.state).text("imageOwnerId", owner).text("isPublic", false);
    xml.maybe("creationDate", image.created_at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")));
    xml.text("name", &image.id).text("imageType", "machine").text("rootDeviceType", "ebs");
    xml.text("virtualizationType", "hvm").text("hypervisor", "xen");
    xml.list("blockDeviceMapping", image.snapshots.iter().enumerate(), |item, (number, snapshot)| {
        item.text("deviceName", device(number));
        item.part("ebs", |ebs| {
            ebs.text("snapshotId", snapshot);
        });
    });
    tagging::show(xml, &image.tags);
}

/// The root first, then the data volumes.
fn device(number: usize) -> String {
    match u8::try_from(number) {
        Ok(0) => "/dev/xvda".into(),
        Ok(number @ 1..=25) => format!("/dev/sd{}", char::from(b'a' + number)),
        _ => format!("/dev/xvd{number}"),
    }
}

impl Filtered for Image {
    const NAMES: &'static [&'static str] =
        &["block-device-mapping.snapshot-id", "image-id", "image-type", "is-public", "name", "state"];

    fn values(&self, name: &str) -> Vec<String> {
        match name {
            "block-device-mapping.snapshot-id" => self.snapshots.clone(),
            "image-id" | "name" => vec![self.id.clone()],
            "image-type" => vec!["machine".into()],
            "is-public" => vec!["false".into()],
            "state" => vec![self.state.clone()],
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.tags)
    }
}
