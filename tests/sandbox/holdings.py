"""Everything that costs money until somebody deletes it, as boto3 finds it in one account and Region.

Nothing is asked for by a tag: what carries none is found too. One JSON array on standard output.
"""

import json
import os

import boto3

KEYS = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}


def client(service):
    session = boto3.session.Session(region_name=os.environ["REGION"], **KEYS)
    return session.client(service, endpoint_url=os.environ["SANDBOX"])


def pages(client, operation, key, **arguments):
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[key]


def holdings(ec2, backup):
    """What lies there, and the machines: whose they are is in the tag `Seat`."""
    for reservation in pages(ec2, "describe_instances", "Reservations"):
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
            yield {"kind": "machine", "id": instance["InstanceId"], "seat": tags.get("Seat")}
    points = []
    for vault in pages(backup, "list_backup_vaults", "BackupVaultList"):
        name = vault["BackupVaultName"]
        found = pages(backup, "list_recovery_points_by_backup_vault", "RecoveryPoints", BackupVaultName=name)
        points.extend(found)
    for point in points:
        instance = point["ResourceArn"].rsplit("/", 1)[-1]
        yield {"kind": "recovery_point", "id": point["RecoveryPointArn"], "instance": instance}
    # AWS Backup keeps an instance as an image: it goes with the recovery point, and so do its snapshots.
    behind = {point["RecoveryPointArn"].rsplit("/", 1)[-1] for point in points}
    within = set()
    for image in pages(ec2, "describe_images", "Images", Owners=["self"]):
        snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"]]
        if image["ImageId"] in behind:
            within.update(snapshots)
        else:
            yield {"kind": "image", "id": image["ImageId"], "snapshot": snapshots[0]}
    for snapshot in pages(ec2, "describe_snapshots", "Snapshots", OwnerIds=["self"]):
        if snapshot["SnapshotId"] not in within:
            yield {"kind": "snapshot", "id": snapshot["SnapshotId"], "volume": snapshot["VolumeId"]}
    for volume in pages(ec2, "describe_volumes", "Volumes"):
        attached = [attachment["InstanceId"] for attachment in volume["Attachments"]]
        yield {
            "kind": "volume",
            "id": volume["VolumeId"],
            "snapshot": volume.get("SnapshotId") or None,
            "instance": attached[0] if attached else None,
        }


print(json.dumps(list(holdings(client("ec2"), client("backup")))))
