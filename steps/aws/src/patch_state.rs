//! What `DescribeInstancePatchStates` says of a machine, in the port's terms.

use aws_sdk_ssm::{primitives::DateTime, types::InstancePatchState};
use runbook_engine::ids::TargetId;
use runbook_steps::ports::ssm::PatchState;

use crate::invocation::timestamp;

pub(crate) fn read(state: InstancePatchState) -> PatchState {
    // A Windows machine whose last operation failed reports -1.
    let count = |count: Option<i32>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
    // Times that are not known are sent as the beginning of 1970.
    let time = |time: &DateTime| timestamp(time).filter(|at| at.as_second() > 0);
    PatchState {
        instance: TargetId::from(state.instance_id),
        patch_group: state.patch_group,
        baseline: state.baseline_id,
        operation: state.operation.as_str().to_owned(),
        snapshot_id: state.snapshot_id,
        started_at: time(&state.operation_start_time),
        ended_at: time(&state.operation_end_time),
        missing: count(Some(state.missing_count)),
        failed: count(Some(state.failed_count)),
        pending_reboot: count(state.installed_pending_reboot_count),
        critical: count(state.critical_non_compliant_count),
        security: count(state.security_non_compliant_count),
        other: count(state.other_non_compliant_count),
        reboot_option: state.reboot_option.map(|option| option.as_str().to_owned()),
    }
}
