//! An EC2 instance as a target, and as what became of one.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::{GroupName, TargetId},
    target::{Ec2Facts, Home, Target},
};
use runbook_steps::ports::ec2::Instance;

/// The target that a plan freezes.
pub(crate) fn target(instance: &Instance, group: &GroupName, home: Home) -> Target {
    let name = instance.tags.get("Name").filter(|name| !name.is_empty()).unwrap_or(&instance.id);
    let windows = instance.platform == "windows";
    Target {
        name: name.clone(),
        id: TargetId::new(&instance.id),
        group: group.clone(),
        private_ip: instance.private_ip.clone(),
        tags: instance.tags.clone(),
        vars: BTreeMap::new(),
        environment: None,
        owner: None,
        platform: if windows { "windows" } else { "linux" }.to_owned(),
        image: Some(instance.image.clone()).filter(|image| !image.is_empty()),
        root_volume: root_volume(instance).map(str::to_owned),
        ec2: Some(facts(instance)),
        home,
    }
}

fn facts(instance: &Instance) -> Ec2Facts {
    Ec2Facts {
        root_device_type: instance.root_device_type.clone(),
        volumes: u32::try_from(instance.volumes.len()).unwrap_or(u32::MAX),
        zone: instance.zone.clone(),
        spot: instance.lifecycle.as_deref() == Some("spot"),
        auto_scaling_group: instance.auto_scaling_group.clone(),
        public_ip_changes: instance.public_ip.is_some() && !instance.public_ip_is_elastic,
        hibernates: instance.hibernates,
    }
}

/// Whether it is on its way out, or gone.
pub(crate) fn is_gone(instance: &Instance) -> bool {
    matches!(instance.state.as_str(), "shutting-down" | "terminated")
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
    let image = Some(found.image.as_str()).filter(|image| !image.is_empty());
    differs("image", planned.image.as_deref(), image)
        .or_else(|| differs("root volume", planned.root_volume.as_deref(), root_volume(found)))
}

fn root_volume(instance: &Instance) -> Option<&str> {
    let root = instance.volumes.iter().find(|volume| volume.device == instance.root_device)?;
    Some(&root.volume)
}

#[cfg(test)]
mod tests {
    use runbook_engine::{
        ids::GroupName,
        target::{Ec2Facts, Home},
    };
    use runbook_steps::ports::ec2::{Attachment, Instance};

    use super::{change, target};

    fn instance(image: &str, volume: &str, state: &str) -> Instance {
        let attached = |device: &str, volume: &str| Attachment {
            volume: volume.into(),
            device: device.into(),
            ..Attachment::default()
        };
        Instance {
            id: "i-0123456789abcdef0".into(),
            image: image.into(),
            private_ip: Some("10.0.0.7".into()),
            root_device: "/dev/xvda".into(),
            root_device_type: "ebs".into(),
            volumes: vec![attached("/dev/sdf", "vol-data"), attached("/dev/xvda", volume)],
            state: state.into(),
            tags: [("Name".to_owned(), "web-1".to_owned())].into(),
            ..Instance::default()
        }
    }

    #[test]
    fn a_target_has_the_name_tag_and_the_root_volume() {
        let home = Home::Aws { account: None, region: None, role: None, external_id: None };
        let found = instance("ami-1", "vol-1", "running");
        let target = target(&found, &GroupName::new("web"), home);
        assert_eq!((target.name.as_str(), target.platform.as_str()), ("web-1", "linux"));
        assert_eq!((target.image.as_deref(), target.root_volume.as_deref()), (Some("ami-1"), Some("vol-1")));
    }

    #[test]
    fn a_plan_knows_what_decides_a_restore() {
        let home = Home::Aws { account: None, region: None, role: None, external_id: None };
        let mut found = instance("ami-1", "vol-1", "running");
        let facts = |found: &Instance| target(found, &GroupName::new("web"), home.clone()).ec2;
        let plain = Ec2Facts { root_device_type: "ebs".into(), volumes: 2, ..Ec2Facts::default() };
        assert_eq!(facts(&found), Some(plain.clone()));
        found.lifecycle = Some("spot".into());
        found.public_ip = Some("203.0.113.7".into());
        assert_eq!(facts(&found), Some(Ec2Facts { spot: true, public_ip_changes: true, ..plain.clone() }));
        found.lifecycle = None;
        found.public_ip_is_elastic = true;
        assert_eq!(facts(&found), Some(plain));
    }

    #[test]
    fn a_machine_that_is_not_the_planned_one_is_named_with_its_cause() {
        let home = Home::Aws { account: None, region: None, role: None, external_id: None };
        let planned = instance("ami-1", "vol-1", "running");
        let planned = target(&planned, &GroupName::new("web"), home);
        let now = |image, volume, state| change(&planned, Some(&instance(image, volume, state)));
        assert_eq!(now("ami-1", "vol-1", "stopped"), None);
        assert_eq!(
            now("ami-2", "vol-1", "running").as_deref(),
            Some("its image is ami-2, the plan has ami-1")
        );
        assert_eq!(
            now("ami-1", "vol-2", "running").as_deref(),
            Some("its root volume is vol-2, the plan has vol-1")
        );
        let gone = Some("the machine is gone");
        assert_eq!(now("ami-1", "vol-1", "terminated").as_deref(), gone);
        assert_eq!(change(&planned, None).as_deref(), gone);
    }
}
