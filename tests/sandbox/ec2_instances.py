"""EC2: power, root volumes, tags, dry runs."""

import botocore.exceptions

from ec2_questions import ec2, specification, volumes_of, root_of, state_of, completed_snapshots
from harness import case, client, control, instances, later, pages, passing, refused, same, tags, wait


@case
def a_root_volume_is_swapped():
    instance = instances("swap")[0]
    device, old = root_of(instance)
    snapshot = completed_snapshots(instance)[old["VolumeId"]]
    zone = volumes_of(instance)[0]["AvailabilityZone"]
    new = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone=zone, VolumeType="gp3")["VolumeId"]
    later("5s")
    wait(ec2, "volume_available", 15, VolumeIds=[new])
    # The root of a running instance stays where it is.
    code = refused_root(instance, device, old["VolumeId"])
    assert code in ("OperationNotPermitted", "IncorrectState"), code
    stopping = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    same(stopping["PreviousState"], {"Code": 16, "Name": "running"})
    same(stopping["CurrentState"], {"Code": 64, "Name": "stopping"})
    wait(ec2, "instance_stopped", 15, InstanceIds=[instance])
    # Once more does no harm.
    again = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    same((again["PreviousState"]["Name"], again["CurrentState"]["Name"]), ("stopped", "stopped"))
    # Only running ones have their status described, unless all are asked for.
    same(ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"], [])
    status = ec2.describe_instance_status(InstanceIds=[instance], IncludeAllInstances=True)["InstanceStatuses"][0]
    same((status["InstanceState"]["Name"], status["InstanceStatus"]["Status"]), ("stopped", "not-applicable"))
    ec2.detach_volume(VolumeId=old["VolumeId"], InstanceId=instance, Device=device)
    wait(ec2, "volume_available", 15, VolumeIds=[old["VolumeId"]])
    # Without a root it does not start.
    refused("InvalidParameterValue", 400, ec2.start_instances, InstanceIds=[instance])
    ec2.attach_volume(VolumeId=new, InstanceId=instance, Device=device)
    wait(ec2, "volume_in_use", 15, VolumeIds=[new])
    later("10s")
    starting = ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]
    same((starting["PreviousState"]["Name"], starting["CurrentState"]["Name"]), ("stopped", "pending"))
    wait(ec2, "instance_running", 15, InstanceIds=[instance])
    wait(ec2, "instance_status_ok", 15, InstanceIds=[instance])
    wait(ec2, "system_status_ok", 15, InstanceIds=[instance])
    same(root_of(instance)[1]["VolumeId"], new)


def refused_root(instance, device, volume):
    try:
        ec2.detach_volume(VolumeId=volume, InstanceId=instance, Device=device)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return None


@case
def instances_are_rebooted():
    instance = instances("swap")[1]
    ec2.reboot_instances(InstanceIds=[instance])
    # A reboot is no stop: the state does not show it.
    same(state_of(instance), "running")
    wait(ec2, "instance_status_ok", 15, InstanceIds=[instance])
    refused("InvalidInstanceID.NotFound", 400, ec2.reboot_instances, InstanceIds=["i-0123456789abcdef0"])
    refused("MissingParameter", 400, ec2.reboot_instances, InstanceIds=[])


@case
def a_root_volume_is_replaced_once_a_token():
    instance = instances("swap")[2]
    device, old = root_of(instance)
    snapshot = completed_snapshots(instance)[old["VolumeId"]]
    request = {
        "InstanceId": instance,
        "SnapshotId": snapshot,
        "ClientToken": "replace-once",
        "TagSpecifications": specification("replace-root-volume-task", run="r-1"),
    }
    task = ec2.create_replace_root_volume_task(**request)["ReplaceRootVolumeTask"]
    same((task["InstanceId"], task["SnapshotId"]), (instance, snapshot))
    assert task["TaskState"] in ("pending", "in-progress"), task
    again = ec2.create_replace_root_volume_task(**request)["ReplaceRootVolumeTask"]
    same(again["ReplaceRootVolumeTaskId"], task["ReplaceRootVolumeTaskId"])
    other = completed_snapshots(instances("swap")[3])
    refused(
        "IdempotentParameterMismatch",
        400,
        ec2.create_replace_root_volume_task,
        **{**request, "SnapshotId": list(other.values())[0]},
    )
    later("5s")
    seen = []
    for _ in range(200):
        ids = [task["ReplaceRootVolumeTaskId"]]
        found = ec2.describe_replace_root_volume_tasks(ReplaceRootVolumeTaskIds=ids)["ReplaceRootVolumeTasks"][0]
        if found["TaskState"] not in seen:
            seen.append(found["TaskState"])
        if found["TaskState"] == "succeeded":
            break
        later("15s")
    assert seen[-1] == "succeeded" and "in-progress" in seen, seen
    same(tags(found), {"run": "r-1"})
    same(root_of(instance)[0], device)
    assert root_of(instance)[1]["VolumeId"] != old["VolumeId"]
    same(ec2.describe_volumes(VolumeIds=[old["VolumeId"]])["Volumes"][0]["State"], "available")
    filters = [{"Name": "instance-id", "Values": [instance]}]
    found, _ = pages(ec2, "describe_replace_root_volume_tasks", "ReplaceRootVolumeTasks", 1, Filters=filters)
    same([one["ReplaceRootVolumeTaskId"] for one in found], [task["ReplaceRootVolumeTaskId"]])


@case
def a_snapshot_of_another_machine_replaces_nothing():
    other = completed_snapshots(instances("swap")[4])
    instance = instances("swap")[3]
    call = ec2.create_replace_root_volume_task
    try:
        call(InstanceId=instance, SnapshotId=list(other.values())[0])
    except botocore.exceptions.ClientError as error:
        same(error.response["ResponseMetadata"]["HTTPStatusCode"], 400)
        return
    raise AssertionError("a snapshot of another machine was taken")


@case
def tags_are_put_and_overwritten():
    ids = instances("db")[4:6]
    ec2.create_tags(Resources=ids, Tags=[{"Key": "owner", "Value": "a & b"}, {"Key": "empty", "Value": ""}])
    ec2.create_tags(Resources=ids, Tags=[{"Key": "owner", "Value": "<c>"}])
    later("10s")
    found = ec2.describe_instances(Filters=[{"Name": "tag:owner", "Values": ["<c>"]}])["Reservations"]
    same({part["Instances"][0]["InstanceId"] for part in found}, set(ids))
    listed = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["owner", "empty"]}])["Tags"]
    same({(tag["ResourceId"], tag["Key"], tag["Value"]) for tag in listed},
         {(one, key, value) for one in ids for key, value in (("owner", "<c>"), ("empty", ""))})
    one = [{"Key": "k", "Value": "v"}]
    refused("InvalidParameterValue", 400, ec2.create_tags, Resources=ids, Tags=[{"Key": "aws:x", "Value": "v"}])
    refused("InvalidInstanceID.NotFound", 400, ec2.create_tags, Resources=["i-0123456789abcdef0"], Tags=one)
    refused("InvalidID", 400, ec2.create_tags, Resources=["web-1"], Tags=one)
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(51)]
    refused("TagLimitExceeded", 400, ec2.create_tags, Resources=ids, Tags=many)
    refused("InvalidParameterValue", 400, ec2.create_tags, Resources=ids * 501, Tags=one)


@case
def tags_are_deleted():
    instance = instances("db")[4]
    ec2.create_tags(Resources=[instance], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])

    def has():
        later("10s")
        return tags(ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0])

    # With another value than it has, a tag stays.
    ec2.delete_tags(Resources=[instance], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
    now = has()
    same((now.get("a"), now.get("b"), now["Group"]), ("1", None, "db"))
    ec2.delete_tags(Resources=[instance], Tags=[{"Key": "a", "Value": "1"}])
    assert "a" not in has()
    refused("DryRunOperation", 412, ec2.delete_tags, Resources=[instance], DryRun=True)
    refused("InvalidInstanceID.NotFound", 400, ec2.delete_tags, Resources=["i-0123456789abcdef0"])


@case
def dry_runs_prove_rights_and_change_nothing():
    instance = instances("db")[5]
    device, root = root_of(instance)
    snapshots = ec2.describe_snapshots(Filters=[{"Name": "status", "Values": ["completed"]}])["Snapshots"]
    snapshot = snapshots[0]["SnapshotId"]
    zone = volumes_of(instance)[0]["AvailabilityZone"]
    volume = root["VolumeId"]
    before = len([call for call in control("calls") if call["writes"] and call["took_effect"]])
    for call, parameters in (
        (ec2.create_snapshots, {"InstanceSpecification": {"InstanceId": instance}}),
        (ec2.create_snapshot, {"VolumeId": volume}),
        (ec2.create_volume, {"SnapshotId": snapshot, "AvailabilityZone": zone, "VolumeType": "gp3"}),
        (ec2.attach_volume, {"VolumeId": volume, "InstanceId": instance, "Device": "/dev/sdf"}),
        (ec2.detach_volume, {"VolumeId": volume, "InstanceId": instance}),
        (ec2.stop_instances, {"InstanceIds": [instance]}),
        (ec2.start_instances, {"InstanceIds": [instance]}),
        (ec2.reboot_instances, {"InstanceIds": [instance]}),
        (ec2.delete_snapshot, {"SnapshotId": snapshot}),
        (ec2.delete_volume, {"VolumeId": volume}),
        (ec2.create_tags, {"Resources": [instance], "Tags": [{"Key": "k", "Value": "v"}]}),
        (ec2.create_replace_root_volume_task, {"InstanceId": instance, "SnapshotId": snapshot}),
        (
            ec2.modify_instance_attribute,
            {
                "InstanceId": instance,
                "BlockDeviceMappings": [{"DeviceName": device, "Ebs": {"DeleteOnTermination": False}}],
            },
        ),
    ):
        refused("DryRunOperation", 412, call, **parameters, DryRun=True)
    after = len([call for call in control("calls") if call["writes"] and call["took_effect"]])
    same((state_of(instance), after), ("running", before))


@case
def throttled_calls_are_repeated_by_an_sdk():
    # The fleet throttles the first two calls of each of these.
    refused("RequestLimitExceeded", 503, ec2.deregister_image, ImageId="ami-0123456789abcdef0")
    patient = client("ec2", retries=3)
    refused("InvalidAMIID.NotFound", 400, patient.deregister_image, ImageId="ami-0123456789abcdef0")


@case
def time_passes_only_when_it_is_moved():
    with passing(ec2, "0s"):
        first = control("clock")["now"]
        ec2.describe_regions()
        same(control("clock")["now"], first)
