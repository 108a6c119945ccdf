"""EC2: snapshots, and how long they take."""

from ec2_questions import ec2, specification, volumes_of, root_of
from harness import case, complete, instances, later, pages, refused, same, tags, wait


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
