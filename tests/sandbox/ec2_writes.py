"""EC2: what is changed, and how long that takes."""

import botocore.exceptions

from harness import (
    case,
    client,
    complete,
    control,
    instances,
    later,
    pages,
    passing,
    refused,
    same,
    tags,
    wait,
)

ec2 = client("ec2")


def specification(resource, **values):
    return [{"ResourceType": resource, "Tags": [{"Key": key, "Value": value} for key, value in values.items()]}]


def volumes_of(instance):
    filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
    return ec2.describe_volumes(Filters=filters)["Volumes"]


def root_of(instance):
    answer = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    mapping = {volume["DeviceName"]: volume["Ebs"] for volume in answer["BlockDeviceMappings"]}
    return answer["RootDeviceName"], mapping[answer["RootDeviceName"]]


def state_of(instance):
    answer = ec2.describe_instances(InstanceIds=[instance])
    return answer["Reservations"][0]["Instances"][0]["State"]["Name"]


def completed_snapshots(instance):
    """Snapshots of all volumes of an instance, by volume."""
    made = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
    later("10s")
    wait(ec2, "snapshot_completed", 15, SnapshotIds=[snapshot["SnapshotId"] for snapshot in made])
    return {snapshot["VolumeId"]: snapshot["SnapshotId"] for snapshot in made}


@case
def a_right_that_is_missing():
    # The fleet denies the first two.
    instance = instances("locked")[0]
    refused("UnauthorizedOperation", 403, ec2.reboot_instances, InstanceIds=[instance], DryRun=True)
    refused("UnauthorizedOperation", 403, ec2.reboot_instances, InstanceIds=[instance])
    refused("DryRunOperation", 412, ec2.reboot_instances, InstanceIds=[instance], DryRun=True)


@case
def snapshots_of_an_instance_take_their_time():
    instance = instances("web")[1]
    made = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance},
        Description="before <the> patch",
        TagSpecifications=specification("snapshot", run="r-1", host=instance),
    )["Snapshots"]
    same({snapshot["VolumeId"] for snapshot in made}, {volume["VolumeId"] for volume in volumes_of(instance)})
    same({snapshot["State"] for snapshot in made}, {"pending"})
    same({tags(snapshot)["host"] for snapshot in made}, {instance})
    ids = [snapshot["SnapshotId"] for snapshot in made]
    # A read right behind the write does not find them yet.
    refused("InvalidSnapshot.NotFound", 400, ec2.describe_snapshots, SnapshotIds=ids)
    later("5s")
    found = ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"]
    same({snapshot["State"] for snapshot in found}, {"pending"})
    assert all(snapshot["Progress"].endswith("%") and snapshot["VolumeSize"] > 0 for snapshot in found)
    assert all(snapshot["StartTime"].tzinfo is not None for snapshot in found)
    wait(ec2, "snapshot_completed", 15, SnapshotIds=ids)
    found = ec2.describe_snapshots(Filters=[{"Name": "tag:run", "Values": ["r-1"]}], OwnerIds=["self"])["Snapshots"]
    same({snapshot["SnapshotId"] for snapshot in found}, set(ids))
    same({snapshot["State"] for snapshot in found}, {"completed"})
    same({snapshot["Progress"] for snapshot in found}, {"100%"})
    same(ec2.describe_snapshots(OwnerIds=["999999999999"])["Snapshots"], [])


@case
def a_volume_rests_between_snapshots():
    instance = instances("web")[2]
    first = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
    refused(
        "SnapshotCreationPerVolumeRateExceeded",
        400,
        ec2.create_snapshots,
        InstanceSpecification={"InstanceId": instance},
    )
    later("16s")
    second = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
    assert not {one["SnapshotId"] for one in first} & {one["SnapshotId"] for one in second}


@case
def data_volumes_can_be_left_out():
    instance = instances("web")[3]
    device, root = root_of(instance)
    data = next(volume["VolumeId"] for volume in volumes_of(instance) if volume["VolumeId"] != root["VolumeId"])
    made = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance, "ExcludeDataVolumeIds": [data]}
    )["Snapshots"]
    same([snapshot["VolumeId"] for snapshot in made], [root["VolumeId"]])


@case
def snapshots_of_what_is_not_there():
    refused(
        "InvalidInstanceID.NotFound",
        400,
        ec2.create_snapshots,
        InstanceSpecification={"InstanceId": "i-0123456789abcdef0"},
    )
    refused("InvalidVolume.NotFound", 400, ec2.create_snapshot, VolumeId="vol-0123456789abcdef0")
    refused(
        "InvalidParameterValue",
        400,
        ec2.create_snapshots,
        InstanceSpecification={"InstanceId": instances("web")[0]},
        TagSpecifications=specification("volume", a="b"),
    )


@case
def a_snapshot_of_one_volume_is_found_paged_and_deleted():
    instance = instances("db")[1]
    volume = root_of(instance)[1]["VolumeId"]
    made = ec2.create_snapshot(
        VolumeId=volume, Description="one", TagSpecifications=specification("snapshot", kind="single")
    )
    same((made["VolumeId"], made["State"]), (volume, "pending"))
    later("10s")
    wait(ec2, "snapshot_completed", 15, SnapshotIds=[made["SnapshotId"]])
    by_volume = ec2.describe_snapshots(Filters=[{"Name": "volume-id", "Values": [volume]}])["Snapshots"]
    assert made["SnapshotId"] in {snapshot["SnapshotId"] for snapshot in by_volume}
    everything = {snapshot["SnapshotId"] for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    found, count = pages(ec2, "describe_snapshots", "Snapshots", 5, OwnerIds=["self"])
    complete([snapshot["SnapshotId"] for snapshot in found], everything, count, 5)
    ec2.delete_snapshot(SnapshotId=made["SnapshotId"])
    later("10s")
    refused("InvalidSnapshot.NotFound", 400, ec2.describe_snapshots, SnapshotIds=[made["SnapshotId"]])
    refused("InvalidSnapshot.NotFound", 400, ec2.delete_snapshot, SnapshotId=made["SnapshotId"])


@case
def tokens_make_one_volume():
    instance = instances("db")[2]
    (snapshot,) = completed_snapshots(instance).values()
    zone = volumes_of(instance)[0]["AvailabilityZone"]
    request = {
        "SnapshotId": snapshot,
        "AvailabilityZone": zone,
        "VolumeType": "gp3",
        "Iops": 4000,
        "Throughput": 250,
        "ClientToken": "one-volume",
        "TagSpecifications": specification("volume", purpose="test"),
    }
    made = ec2.create_volume(**request)
    same((made["SnapshotId"], made["VolumeType"], made["Iops"], made["Throughput"]), (snapshot, "gp3", 4000, 250))
    same(tags(made), {"purpose": "test"})
    same(ec2.create_volume(**request)["VolumeId"], made["VolumeId"])
    refused("IdempotentParameterMismatch", 400, ec2.create_volume, **{**request, "Iops": 5000})
    other = ec2.create_volume(**{**request, "ClientToken": "another-volume"})
    assert other["VolumeId"] != made["VolumeId"]
    later("5s")
    wait(ec2, "volume_available", 15, VolumeIds=[made["VolumeId"], other["VolumeId"]])
    for volume in (made, other):
        ec2.delete_volume(VolumeId=volume["VolumeId"])
    wait(ec2, "volume_deleted", 15, VolumeIds=[made["VolumeId"], other["VolumeId"]])


@case
def volumes_that_cannot_be():
    instance = instances("db")[2]
    zone = volumes_of(instance)[0]["AvailabilityZone"]
    snapshots = ec2.describe_snapshots(Filters=[{"Name": "status", "Values": ["completed"]}])["Snapshots"]
    good = {"SnapshotId": snapshots[0]["SnapshotId"], "AvailabilityZone": zone, "VolumeType": "gp3"}
    refused("InvalidParameterValue", 400, ec2.create_volume, **good, Iops=100)
    refused("InvalidParameterValue", 400, ec2.create_volume, **good, Throughput=5000)
    refused("MissingParameter", 400, ec2.create_volume, **{**good, "VolumeType": "io2"})
    refused("InvalidParameterDependency", 400, ec2.create_volume, **good, KmsKeyId="alias/key")
    refused("InvalidSnapshot.NotFound", 400, ec2.create_volume, **{**good, "SnapshotId": "snap-0123456789abcdef0"})
    refused("InvalidParameterValue", 400, ec2.create_volume, **{**good, "VolumeType": "gp9"})


@case
def a_volume_is_attached_kept_and_detached():
    instance = instances("db")[3]
    (snapshot,) = completed_snapshots(instance).values()
    zone = volumes_of(instance)[0]["AvailabilityZone"]
    volume = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone=zone, VolumeType="gp3")["VolumeId"]
    later("5s")
    wait(ec2, "volume_available", 15, VolumeIds=[volume])
    attached = ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    same((attached["VolumeId"], attached["Device"], attached["State"]), (volume, "/dev/sdf", "attaching"))
    wait(ec2, "volume_in_use", 15, VolumeIds=[volume])
    refused("VolumeInUse", 400, ec2.attach_volume, VolumeId=volume, InstanceId=instance, Device="/dev/sdg")
    refused("VolumeInUse", 400, ec2.delete_volume, VolumeId=volume)

    def kept():
        answer = ec2.describe_instance_attribute(InstanceId=instance, Attribute="blockDeviceMapping")
        found = {mapping["DeviceName"]: mapping["Ebs"] for mapping in answer["BlockDeviceMappings"]}
        return found["/dev/sdf"]["DeleteOnTermination"]

    later("10s")
    same(kept(), False)
    ec2.modify_instance_attribute(
        InstanceId=instance,
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeId": volume, "DeleteOnTermination": True}}],
    )
    later("10s")
    same(kept(), True)
    refused(
        "UnknownParameter",
        400,
        ec2.modify_instance_attribute,
        InstanceId=instance,
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": True}, "NoDevice": ""}],
    )
    same(ec2.detach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")["State"], "detaching")
    wait(ec2, "volume_available", 15, VolumeIds=[volume])
    refused("IncorrectState", 400, ec2.detach_volume, VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    ec2.delete_volume(VolumeId=volume)
    wait(ec2, "volume_deleted", 15, VolumeIds=[volume])


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
def an_answer_that_is_lost_is_found_by_its_token():
    instance = instances("locked")[1]
    (snapshot,) = completed_snapshots(instance).values()
    zone = volumes_of(instance)[0]["AvailabilityZone"]
    request = {"SnapshotId": snapshot, "AvailabilityZone": zone, "VolumeType": "gp3", "ClientToken": "lost"}
    request["TagSpecifications"] = specification("volume", lost="once")
    try:
        ec2.create_volume(**request)
        raise AssertionError("an answer came")
    except (botocore.exceptions.ConnectionClosedError, botocore.exceptions.ReadTimeoutError):
        pass
    made = ec2.create_volume(**request)["VolumeId"]
    later("10s")
    found = ec2.describe_volumes(Filters=[{"Name": "tag:lost", "Values": ["once"]}])["Volumes"]
    same([volume["VolumeId"] for volume in found], [made])


@case
def time_passes_only_when_it_is_moved():
    with passing(ec2, "0s"):
        first = control("clock")["now"]
        ec2.describe_regions()
        same(control("clock")["now"], first)
