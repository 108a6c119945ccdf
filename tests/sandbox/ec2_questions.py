"""EC2: what several cases ask."""

from harness import client, later, wait

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
