//! DescribeInstances.

use std::collections::BTreeMap;

use runbook_engine::ids::TargetId;
use runbook_steps::ports::ec2::{Attachment, Ec2, Instance};

use super::{
    asked::Asked,
    filter::{Filtered, Filters},
    page::{self, Range},
    tagging,
    xml::Xml,
};
use crate::fault::Trouble;

/// The most ids of one call (facts: Pages and batches).
const MOST_IDS: usize = 1_000;

/// Each instance is in a reservation of its own.
pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = page::ids(&mut asked.form, "InstanceId", "i-", "InvalidInstanceID.Malformed", MOST_IDS)?;
    let filters = Filters::take::<Instance>(&mut asked.form)?;
    let range = Range::take(&mut asked.form, 5, 1_000)?;
    range.excludes("instancesSet", &ids)?;
    // Instances that other services manage: there are none.
    asked.form.flag("IncludeManagedResources")?;
    asked.taken("ec2:DescribeInstances").await?;
    let found = asked
        .page("ec2:DescribeInstances", &range, &ids, async {
            // One by one where they are named: a call for a thousand of ten thousand costs a thousand.
            let all = if ids.is_empty() {
                asked.account.all_instances().await?
            } else {
                let named: Vec<_> = ids.iter().cloned().map(TargetId::from).collect();
                asked.account.instances(&named).await?
            };
            Ok(filters.keep(page::with_ids(
                all,
                &ids,
                |instance| &instance.id,
                "InvalidInstanceID.NotFound",
                "instance ID",
            )?))
        })
        .await?;
    let mut xml = Xml::default();
    let owner = asked.call.account;
    xml.list("reservationSet", &found.items, |item, instance| {
        item.text("reservationId", format_args!("r-{}", instance.id.trim_start_matches("i-")));
        item.text("ownerId", owner);
        item.list("groupSet", [(); 0], |_, ()| ());
        item.list("instancesSet", [instance], |item, instance| show(item, instance, owner));
    });
    xml.maybe("nextToken", found.next);
    Ok(xml)
}

/// The number that goes with an instance's state.
pub(super) fn state_code(state: &str) -> u8 {
    match state {
        "pending" => 0,
        "running" => 16,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        _ => 80,
    }
}

/// A state as an element.
pub(super) fn show_state(xml: &mut Xml, name: &str, state: &str) {
    xml.part(name, |part| {
        part.text("code", state_code(state)).text("name", state);
    });
}

/// The volumes of an instance as an element, the root first.
pub(super) fn show_volumes(xml: &mut Xml, instance: &Instance) {
    let mut volumes: Vec<_> = instance.volumes.iter().collect();
    volumes.sort_by_key(|volume| volume.device != instance.root_device);
    xml.list("blockDeviceMapping", volumes, |item, volume| {
        item.text("deviceName", &volume.device);
        item.part("ebs", |ebs| {
            ebs.text("volumeId", &volume.volume)
                .text("status", &volume.state)
                .text("deleteOnTermination", volume.delete_on_termination);
        });
    });
}

fn show(xml: &mut Xml, instance: &Instance, owner: &str) {
    let interface = format!("eni-{}", instance.id.trim_start_matches("i-"));
    xml.text("instanceId", &instance.id).text("imageId", &instance.image);
    show_state(xml, "instanceState", &instance.state);
    xml.text("privateDnsName", instance.private_ip.as_deref().map(private_name).unwrap_or_default());
    xml.text("dnsName", "").text("reason", "").text("amiLaunchIndex", 0);
    xml.text("instanceType", &instance.kind);
    xml.time("launchTime", instance.launched_at);
    xml.part("placement", |part| {
        part.text("availabilityZone", &instance.zone).text("groupName", "").text("tenancy", "default");
    });
    if is_windows(instance) {
        xml.text("platform", "windows");
    }
    xml.text("platformDetails", if is_windows(instance) { "Windows" } else { "Linux/UNIX" });
    xml.part("monitoring", |part| {
        part.text("state", "disabled");
    });
    xml.maybe("privateIpAddress", instance.private_ip.as_deref());
    xml.maybe("ipAddress", instance.public_ip.as_deref());
    xml.text("sourceDestCheck", true).list("groupSet", [(); 0], |_, ()| ());
    xml.text("architecture", architecture(&instance.kind));
    xml.text("rootDeviceType", &instance.root_device_type).text("rootDeviceName", &instance.root_device);
    show_volumes(xml, instance);
    xml.text("virtualizationType", "hvm")
        .text("hypervisor", "xen")
        .text("ebsOptimized", true)
        .text("enaSupport", true);
    xml.maybe("instanceLifecycle", instance.lifecycle.as_deref());
    tagging::show(xml, &all_tags(instance));
    xml.list("networkInterfaceSet", instance.private_ip.as_deref(), |item, ip| {
        item.text("networkInterfaceId", &interface).text("ownerId", owner).text("status", "in-use");
        item.text("privateIpAddress", ip).text("sourceDestCheck", true);
        item.part("attachment", |part| {
            part.text("deviceIndex", 0).text("status", "attached").text("deleteOnTermination", true);
        });
        if let Some(public) = &instance.public_ip {
            // An address of Amazon's goes away when the instance stops; one of the account's own is an Elastic IP.
            item.part("association", |part| {
                part.text("publicIp", public);
                part.text("ipOwnerId", if instance.public_ip_is_elastic { owner } else { "amazon" });
            });
        }
    });
    xml.part("hibernationOptions", |part| {
        part.text("configured", instance.hibernates);
    });
}

/// With the tag by which a group of Auto Scaling marks its members.
fn all_tags(instance: &Instance) -> BTreeMap<String, String> {
    let mut tags = instance.tags.clone();
    if let Some(group) = &instance.auto_scaling_group {
        tags.entry("aws:autoscaling:groupName".to_owned()).or_insert_with(|| group.clone());
    }
    tags
}

fn is_windows(instance: &Instance) -> bool {
    instance.platform.eq_ignore_ascii_case("windows")
}

fn private_name(ip: &str) -> String {
    format!("ip-{}.ec2.internal", ip.replace('.', "-"))
}

/// The types whose family ends in `g` behind its number are Graviton's.
fn architecture(kind: &str) -> &'static str {
    let family = kind.split('.').next().unwrap_or_default();
    let behind_number = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let options = behind_number.trim_start_matches(|c: char| c.is_ascii_digit());
    if options.starts_with('g') { "arm64" } else { "x86_64" }
}

impl Filtered for Instance {
    const NAMES: &'static [&'static str] = &[
        "architecture",
        "availability-zone",
        "block-device-mapping.delete-on-termination",
        "block-device-mapping.device-name",
        "block-device-mapping.status",
        "block-device-mapping.volume-id",
        "image-id",
        "instance-id",
        "instance-lifecycle",
        "instance-state-code",
        "instance-state-name",
        "instance-type",
        "ip-address",
        "platform",
        "private-ip-address",
        "root-device-name",
        "root-device-type",
    ];

    fn values(&self, name: &str) -> Vec<String> {
        let of_volumes = |value: fn(&Attachment) -> String| self.volumes.iter().map(value).collect();
        let one = |value: &str| vec![value.to_owned()];
        match name {
            "architecture" => one(architecture(&self.kind)),
            "availability-zone" => one(&self.zone),
            "block-device-mapping.delete-on-termination" => {
                of_volumes(|volume| volume.delete_on_termination.to_string())
            }
            "block-device-mapping.device-name" => of_volumes(|volume| volume.device.clone()),
            "block-device-mapping.status" => of_volumes(|volume| volume.state.clone()),
            "block-device-mapping.volume-id" => of_volumes(|volume| volume.volume.clone()),
            "image-id" => one(&self.image),
            "instance-id" => one(&self.id),
            "instance-lifecycle" => self.lifecycle.iter().cloned().collect(),
            "instance-state-code" => vec![state_code(&self.state).to_string()],
            "instance-state-name" => one(&self.state),
            "instance-type" => one(&self.kind),
            "ip-address" => self.public_ip.iter().cloned().collect(),
            "platform" if is_windows(self) => one("windows"),
            "private-ip-address" => self.private_ip.iter().cloned().collect(),
            "root-device-name" => one(&self.root_device),
            "root-device-type" => one(&self.root_device_type),
            "tag:aws:autoscaling:groupName" => self.auto_scaling_group.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.tags)
    }
}

#[cfg(test)]
mod tests {
    use super::architecture;

    #[test]
    fn architectures() {
        for (kind, expected) in [
            ("m7g.large", "arm64"),
            ("t4g.nano", "arm64"),
            ("g5.xlarge", "x86_64"),
            ("m5.large", "x86_64"),
            ("c7gn.large", "arm64"),
        ] {
            assert_eq!(architecture(kind), expected, "{kind}");
        }
    }
}
