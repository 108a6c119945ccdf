//! An EC2 instance as a target, and as what became of one.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Instance, InstanceStateName, PlatformValues};
use runbook_engine::{
    ids::{GroupName, TargetId},
    target::{Home, Target},
};

/// The target that a plan freezes; `None` without an id.
pub(crate) fn target(instance: &Instance, group: &GroupName, home: Home) -> Option<Target> {
    let id = TargetId::new(instance.instance_id()?);
    let tags: BTreeMap<String, String> = instance
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect();
    let name = tags.get("Name").filter(|name| !name.is_empty()).map_or_else(|| id.to_string(), Clone::clone);
    let windows = instance.platform() == Some(&PlatformValues::Windows);
    Some(Target {
        name,
        id,
        group: group.clone(),
        private_ip: instance.private_ip_address().map(str::to_owned),
        tags,
        vars: BTreeMap::new(),
        platform: if windows { "windows" } else { "linux" }.to_owned(),
        image: instance.image_id().map(str::to_owned),
        root_volume: root_volume(instance),
        ec2: None,
        home,
    })
}

/// Whether it is on its way out, or gone.
pub(crate) fn is_gone(instance: &Instance) -> bool {
    matches!(
        instance.state().and_then(|state| state.name()),
        Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
    )
}

/// Why it is not the machine that was planned; `found` is absent when nobody knows the id any more.
pub(crate) fn change(planned: &Target, found: Option<&Instance>) -> Option<String> {
    let Some(found) = found.filter(|instance| !is_gone(instance)) else {
        return Some("the machine is gone".into());
    };
    let differs = |what: &str, planned: Option<&str>, found: Option<&str>| {
        let planned = planned?;
        (Some(planned) != found)
            .then(|| format!("its {what} is {}, the plan has {planned}", found.unwrap_or("missing")))
    };
    differs("image", planned.image.as_deref(), found.image_id())
        .or_else(|| differs("root volume", planned.root_volume.as_deref(), root_volume(found).as_deref()))
}

fn root_volume(instance: &Instance) -> Option<String> {
    let root = instance.root_device_name()?;
    let mapping =
        instance.block_device_mappings().iter().find(|mapping| mapping.device_name() == Some(root))?;
    mapping.ebs()?.volume_id().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        EbsInstanceBlockDevice, Instance, InstanceBlockDeviceMapping, InstanceState, InstanceStateName, Tag,
    };
    use runbook_engine::{ids::GroupName, target::Home};

    use super::{change, target};

    fn instance(image: &str, volume: &str, state: InstanceStateName) -> Instance {
        let mapping = |device: &str, volume: &str| {
            InstanceBlockDeviceMapping::builder()
                .device_name(device)
                .ebs(EbsInstanceBlockDevice::builder().volume_id(volume).build())
                .build()
        };
        Instance::builder()
            .instance_id("i-0123456789abcdef0")
            .image_id(image)
            .private_ip_address("10.0.0.7")
            .root_device_name("/dev/xvda")
            .block_device_mappings(mapping("/dev/sdf", "vol-data"))
            .block_device_mappings(mapping("/dev/xvda", volume))
            .state(InstanceState::builder().name(state).build())
            .tags(Tag::builder().key("Name").value("web-1").build())
            .build()
    }

    #[test]
    fn a_target_has_the_name_tag_and_the_root_volume() {
        let home = Home::Aws { account: None, region: None, role: None, external_id: None };
        let found = instance("ami-1", "vol-1", InstanceStateName::Running);
        let target = target(&found, &GroupName::new("web"), home).expect("it has an id");
        assert_eq!((target.name.as_str(), target.platform.as_str()), ("web-1", "linux"));
        assert_eq!((target.image.as_deref(), target.root_volume.as_deref()), (Some("ami-1"), Some("vol-1")));
    }

    #[test]
    fn a_machine_that_is_not_the_planned_one_is_named_with_its_cause() {
        let home = Home::Aws { account: None, region: None, role: None, external_id: None };
        let planned = instance("ami-1", "vol-1", InstanceStateName::Running);
        let planned = target(&planned, &GroupName::new("web"), home).expect("it has an id");
        let now = |image, volume, state| change(&planned, Some(&instance(image, volume, state)));
        assert_eq!(now("ami-1", "vol-1", InstanceStateName::Stopped), None);
        assert_eq!(
            now("ami-2", "vol-1", InstanceStateName::Running).as_deref(),
            Some("its image is ami-2, the plan has ami-1")
        );
        assert_eq!(
            now("ami-1", "vol-2", InstanceStateName::Running).as_deref(),
            Some("its root volume is vol-2, the plan has vol-1")
        );
        let gone = Some("the machine is gone");
        assert_eq!(now("ami-1", "vol-1", InstanceStateName::Terminated).as_deref(), gone);
        assert_eq!(change(&planned, None).as_deref(), gone);
    }
}
