//! AttachVolume, DetachVolume.

use runbook_steps::ports::ec2::{Attachment, Ec2, Proof};

use super::{asked::Asked, page, volumes::MALFORMED, xml::Xml};
use crate::fault::Trouble;

pub(super) async fn attach(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let volume = page::required_id(&mut asked.form, "VolumeId", "vol-", MALFORMED)?;
    let instance = page::required_id(&mut asked.form, "InstanceId", "i-", "InvalidInstanceID.Malformed")?;
    let device = asked.form.required("Device")?;
    let request = Attachment { volume, instance, device, ..Attachment::default() };
    asked.writes(|| Proof::AttachVolume(request.clone())).await?;
    asked.account.attach_volume(&request).await?;
    let mut xml = Xml::default();
    show(&mut xml, &Attachment { state: "attaching".into(), ..request });
    Ok(xml)
}

/// Instance and device may be left out: a volume that is attached once needs neither.
pub(super) async fn detach(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let volume = page::required_id(&mut asked.form, "VolumeId", "vol-", MALFORMED)?;
    let instance = asked.form.text("InstanceId")?.unwrap_or_default();
    let device = asked.form.text("Device")?.unwrap_or_default();
    asked.form.flag("Force")?;
    let request = Attachment { volume, instance, device, ..Attachment::default() };
    asked.writes(|| Proof::DetachVolume(request.clone())).await?;
    asked.account.detach_volume(&request).await?;
    let mut xml = Xml::default();
    show(&mut xml, &Attachment { state: "detaching".into(), ..request });
    Ok(xml)
}

pub(super) fn show(xml: &mut Xml, attachment: &Attachment) {
    xml.text("volumeId", &attachment.volume).text("instanceId", &attachment.instance);
    xml.text("device", &attachment.device).text("status", &attachment.state);
    xml.text("deleteOnTermination", attachment.delete_on_termination);
}
