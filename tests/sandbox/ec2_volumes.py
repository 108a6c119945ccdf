"""EC2: volumes, attachments, tokens, lost answers."""

import botocore.exceptions

from ec2_questions import ec2, specification, volumes_of, completed_snapshots
from harness import case, instances, later, refused, same, tags, wait


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
