//! Volumes and the instances that hold them: `AttachVolume`, `DetachVolume`, DeleteOnTermination
//! (facts: Volumes).

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    disk_fact::DiskFact,
    instance::{instance_at, root_device_name},
    machine::Power,
    place::Place,
    refusal::refused,
    state::{Fact, State},
    time::later,
    volume::{Held, SHORT, volume},
};
use crate::ports::{ec2::Attachment, fault::Fault};

/// The most volumes of an instance.
const MOST_VOLUMES: usize = 28;

/// `AttachVolume`.
pub(super) fn attach(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: &Attachment,
) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:AttachVolume";
    let volume = volume(state, here, CALL, &request.volume, now)?;
    let id = TargetId::new(&request.instance);
    let machine = instance_at(state, here, &id, now, CALL)?;
    match volume.state(now) {
        "available" => {}
        "in-use" => {
            let message = format!("{} is already attached to an instance", volume.id);
            return Err(refused(CALL, "VolumeInUse", message));
        }
        other => {
            let message = format!("volume '{}' is '{other}', not 'available'", volume.id);
            return Err(refused(CALL, "IncorrectState", message));
        }
    }
    if volume.zone != state.zone(machine) {
        let message = format!("the volume '{}' is not in the same zone as '{id}'", volume.id);
        return Err(refused(CALL, "InvalidVolume.ZoneMismatch", message));
    }
    let holder = &state.machines[machine];
    if holder.volumes.contains_key(&request.device) {
        let message = format!("attachment point {} is already in use", request.device);
        return Err(refused(CALL, "InvalidParameterValue", message));
    }
    if holder.volumes.len() >= MOST_VOLUMES {
        return Err(refused(CALL, "AttachmentLimitExceeded", "the instance has too many volumes"));
    }
    let power = holder.condition().power;
    let root = request.device == root_device_name(&state.roster, machine);
    let fits = if root { power == Power::Stopped } else { matches!(power, Power::Running | Power::Stopped) };
    if !fits {
        let message = format!("instance '{id}' is '{}'", power.as_str());
        return Err(refused(CALL, "IncorrectState", message));
    }
    // It begins without DeleteOnTermination (facts: Volumes).
    let held = Held {
        instance: id,
        device: request.device.clone(),
        ready: later(now, SHORT),
        delete_on_termination: false,
    };
    Ok((Fact::Disks(DiskFact::Attached { volume: request.volume.clone(), held }), ()))
}

/// Where a volume is attached, as the request says.
fn held<'a>(
    state: &'a State,
    here: &Place,
    call: &'static str,
    request: &Attachment,
    now: Timestamp,
) -> Result<&'a Held, Fault> {
    let volume = volume(state, here, call, &request.volume, now)?;
    let Some(held) = &volume.held else {
        let message = format!("volume '{}' is '{}'", volume.id, volume.state(now));
        return Err(refused(call, "IncorrectState", message));
    };
    let fits = (request.instance.is_empty() || held.instance.as_str() == request.instance)
        && (request.device.is_empty() || held.device == request.device);
    if fits {
        return Ok(held);
    }
    let message =
        format!("the volume '{}' is not attached to '{}' as {}", volume.id, request.instance, request.device);
    Err(refused(call, "InvalidAttachment.NotFound", message))
}

/// `DetachVolume`.
pub(super) fn detach(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: &Attachment,
) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:DetachVolume";
    let held = held(state, here, CALL, request, now)?;
    let machine = instance_at(state, here, &held.instance, now, CALL)?;
    let power = state.machines[machine].condition().power;
    if held.device == root_device_name(&state.roster, machine) && power != Power::Stopped {
        let message =
            format!("unable to detach root volume '{}' from instance '{}'", request.volume, held.instance);
        let code = if power == Power::Running { "OperationNotPermitted" } else { "IncorrectState" };
        return Err(refused(CALL, code, message));
    }
    let (volume, instance) = (request.volume.clone(), held.instance.clone());
    // Nothing writes to it any more where the machine is stopped.
    let until = if power == Power::Stopped { later(now, SHORT) } else { later(now, 2 * SHORT) };
    Ok((Fact::Disks(DiskFact::Detached { volume, instance, until }), ()))
}

/// `ModifyInstanceAttribute` of one volume.
pub(super) fn set_delete_on_termination(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: &Attachment,
) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:ModifyInstanceAttribute";
    let id = TargetId::new(&request.instance);
    let machine = instance_at(state, here, &id, now, CALL)?;
    let Some(volume) = state.machines[machine].volumes.get(&request.device).cloned() else {
        let message = format!("no device is currently mapped at {}", request.device);
        return Err(refused(CALL, "InvalidInstanceAttributeValue", message));
    };
    if !request.volume.is_empty() && request.volume != volume {
        let message = format!("{} is not mapped at {}", request.volume, request.device);
        return Err(refused(CALL, "InvalidInstanceAttributeValue", message));
    }
    let value = request.delete_on_termination;
    Ok((Fact::Disks(DiskFact::TerminationSet { volume, instance: id, value }), ()))
}
