//! Regions and Availability Zones.

use std::collections::BTreeMap;

use super::{
    asked::Asked,
    filter::{Filtered, Filters},
    refusal::refused,
    xml::Xml,
};
use crate::fault::Trouble;

/// Regions that need no opting in.
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];
const OPTED: &str = "opt-in-not-required";

/// A Region or a zone of it.
struct Place {
    region: String,
    zone: Option<char>,
}

impl Place {
    fn name(&self) -> String {
        match self.zone {
            Some(zone) => format!("{}{zone}", self.region),
            None => self.region.clone(),
        }
    }

    /// `euc1-az1` for `eu-central-1a`.
    fn zone_id(&self) -> String {
        let mut parts = self.region.split('-');
        let area = parts.next().unwrap_or_default();
        let direction: String = parts.next().unwrap_or_default().chars().take(1).collect();
        let number = parts.next().unwrap_or_default();
        let zone = self.zone.map_or(0, |zone| u32::from(zone) - u32::from('a') + 1);
        format!("{area}{direction}{number}-az{zone}")
    }

    fn endpoint(&self) -> String {
        format!("ec2.{}.amazonaws.com", self.region)
    }
}

pub(super) async fn regions(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let names = asked.form.texts("RegionName")?;
    asked.form.flag("AllRegions")?;
    let filters = Filters::take::<Place>(&mut asked.form)?;
    asked.taken("ec2:DescribeRegions").await?;
    let all = REGIONS.map(|region| Place { region: region.to_owned(), zone: None });
    let found = filters.keep(with_names(all.into(), &names, "region")?);
    let mut xml = Xml::default();
    xml.list("regionInfo", &found, |item, place| {
        item.text("regionName", &place.region)
            .text("regionEndpoint", place.endpoint())
            .text("optInStatus", OPTED);
    });
    Ok(xml)
}

/// Three zones a Region.
pub(super) async fn zones(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let names = asked.form.texts("ZoneName")?;
    let ids = asked.form.texts("ZoneId")?;
    asked.form.flag("AllAvailabilityZones")?;
    let filters = Filters::take::<Place>(&mut asked.form)?;
    asked.taken("ec2:DescribeAvailabilityZones").await?;
    let all = ['a', 'b', 'c'].map(|zone| Place { region: asked.call.region.to_owned(), zone: Some(zone) });
    let mut found = filters.keep(with_names(all.into(), &names, "availability zone")?);
    found.retain(|place| ids.is_empty() || ids.contains(&place.zone_id()));
    let mut xml = Xml::default();
    xml.list("availabilityZoneInfo", &found, |item, place| {
        item.text("zoneName", place.name()).text("zoneState", "available").text("regionName", &place.region);
        item.text("zoneId", place.zone_id()).text("zoneType", "availability-zone").text("optInStatus", OPTED);
        item.text("groupName", &place.region).text("networkBorderGroup", &place.region);
        item.list("messageSet", [(); 0], |_, ()| ());
    });
    Ok(xml)
}

fn with_names(all: Vec<Place>, names: &[String], kind: &str) -> Result<Vec<Place>, crate::fault::Refusal> {
    if let Some(name) = names.iter().find(|name| all.iter().all(|place| place.name() != **name)) {
        return Err(refused("InvalidParameterValue", format!("Invalid {kind}: [{name}]")));
    }
    Ok(all.into_iter().filter(|place| names.is_empty() || names.contains(&place.name())).collect())
}

impl Filtered for Place {
    const NAMES: &'static [&'static str] =
        &["endpoint", "opt-in-status", "region-name", "state", "zone-id", "zone-name", "zone-type"];

    fn values(&self, name: &str) -> Vec<String> {
        match name {
            "endpoint" => vec![self.endpoint()],
            "opt-in-status" => vec![OPTED.into()],
            "region-name" => vec![self.region.clone()],
            "state" => vec!["available".into()],
            "zone-id" => vec![self.zone_id()],
            "zone-name" => vec![self.name()],
            "zone-type" => vec!["availability-zone".into()],
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> Option<&BTreeMap<String, String>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn ids_of_zones() {
        let id = |region: &str, zone| Place { region: region.into(), zone: Some(zone) }.zone_id();
        assert_eq!(id("eu-central-1", 'a'), "euc1-az1");
        assert_eq!(id("us-east-2", 'c'), "use2-az3");
    }
}
