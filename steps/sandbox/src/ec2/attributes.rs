//! Attributes of an instance: DescribeInstanceAttribute, ModifyInstanceAttribute.

use runbook_steps::ports::ec2::{Attachment, Ec2, Proof};

use super::{
    asked::Asked,
    instances::show_volumes,
    page,
    refusal::{not_found, refused},
    volumes::done,
    xml::Xml,
};
use crate::fault::Trouble;

const MALFORMED: &str = "InvalidInstanceID.Malformed";

/// One attribute, of those that this sandbox knows.
pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let id = page::required_id(&mut asked.form, "InstanceId", "i-", MALFORMED)?;
    let attribute = asked.form.required("Attribute")?;
    asked.taken("ec2:DescribeInstanceAttribute").await?;
    let all = asked.account.all_instances().await?;
    let Some(instance) = all.iter().find(|instance| instance.id == id) else {
        return Err(not_found("InvalidInstanceID.NotFound", "instance ID", &[&id]).into());
    };
    let mut xml = Xml::default();
    xml.text("instanceId", &id);
    let value = match attribute.as_str() {
        "blockDeviceMapping" => {
            show_volumes(&mut xml, instance);
            return Ok(xml);
        }
        "instanceType" => instance.kind.clone(),
        "rootDeviceName" => instance.root_device.clone(),
        "instanceInitiatedShutdownBehavior" => "stop".into(),
        "disableApiTermination" | "disableApiStop" => "false".into(),
        "sourceDestCheck" | "enaSupport" | "ebsOptimized" => "true".into(),
        other => {
            let message = format!("Value ({other}) for parameter attribute is invalid. Unknown attribute.");
            return Err(refused("InvalidParameterValue", message).into());
        }
    };
    xml.part(&attribute, |part| {
        part.text("value", value);
    });
    Ok(xml)
}

/// DeleteOnTermination of one attached volume: the others are parameters that nobody takes, and are refused.
pub(super) async fn modify(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let form = &mut asked.form;
    let instance = page::required_id(form, "InstanceId", "i-", MALFORMED)?;
    let attribute = form.word("Attribute", &["blockDeviceMapping"])?;
    let mut mappings = form.structures("BlockDeviceMapping")?;
    if mappings.len() > 1 {
        // AWS takes several; nobody needs them here, and the world changes one thing a call.
        let message = "Only one block device mapping can be modified in a call to this sandbox.";
        return Err(refused("UnsupportedOperation", message).into());
    }
    let Some(mut mapping) = mappings.pop() else {
        let missing = if attribute.is_some() { "BlockDeviceMapping.1" } else { "Attribute" };
        return Err(form.missing(missing).into());
    };
    let device = mapping.required("DeviceName")?;
    let mut ebs = mapping.structure("Ebs")?.ok_or_else(|| mapping.missing("Ebs"))?;
    let volume = ebs.text("VolumeId")?.unwrap_or_default();
    let delete_on_termination = ebs.flag("DeleteOnTermination")?;
    ebs.finish()?;
    mapping.finish()?;
    let request = Attachment { volume, instance, device, delete_on_termination, ..Attachment::default() };
    asked.writes(|| Proof::ModifyInstanceAttribute(request.clone())).await?;
    asked.account.set_delete_on_termination(&request).await?;
    Ok(done())
}
