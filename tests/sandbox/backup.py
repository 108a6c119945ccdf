"""AWS Backup: jobs, recovery points, restores."""

from harness import ACCOUNT, REGION, altered, case, client, complete, instances, later, pages, refused, same

backup = client("backup")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/backup"
VAULT = "Default"
MADE = []


def arn(instance):
    return f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance}"


def start(instance, **more):
    return backup.start_backup_job(BackupVaultName=VAULT, ResourceArn=arn(instance), IamRoleArn=ROLE, **more)


def finished(job):
    """The states that a job was seen in, and the job."""
    seen = []
    for _ in range(400):
        found = backup.describe_backup_job(BackupJobId=job)
        if found["State"] not in seen:
            seen.append(found["State"])
        if found["State"] in ("COMPLETED", "FAILED", "ABORTED", "EXPIRED", "PARTIAL"):
            return seen, found
        later("60s")
    raise AssertionError(f"{job} does not end: {seen}")


@case
def vaults_are_described():
    vault = backup.describe_backup_vault(BackupVaultName=VAULT)
    same((vault["BackupVaultName"], vault["Locked"]), (VAULT, False))
    same(vault["BackupVaultArn"], f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:{VAULT}")
    listed, count = pages(backup, "list_backup_vaults", "BackupVaultList", 1)
    names = [vault["BackupVaultName"] for vault in listed]
    complete(names, {VAULT, "Locked"}, count, 1)
    locked = backup.describe_backup_vault(BackupVaultName="Locked")
    same((locked["Locked"], locked["MinRetentionDays"], locked["MaxRetentionDays"]), (True, 7, 90))
    refused("ResourceNotFoundException", 400, backup.describe_backup_vault, BackupVaultName="Nothing")


@case
def what_is_opted_in():
    same(backup.describe_region_settings()["ResourceTypeOptInPreference"]["EC2"], True)
    assert "EC2" in backup.get_supported_resource_types()["ResourceTypes"]


@case
def a_backup_makes_a_recovery_point_once_a_token():
    instance = instances("web")[4]
    request = {"IdempotencyToken": "backup-once", "RecoveryPointTags": {"run": "r-1"}, "StartWindowMinutes": 60}
    request["Lifecycle"] = {"DeleteAfterDays": 14}
    started = start(instance, **request)
    assert started["CreationDate"].tzinfo is not None
    again = start(instance, **request)
    assert again.get("BackupJobId") in (None, started["BackupJobId"]), again
    refused("InvalidParameterValueException", 400, start, instance=instances("web")[5], **request)
    later("5s")
    seen, job = finished(started["BackupJobId"])
    same(job["State"], "COMPLETED")
    assert seen[0] in ("CREATED", "PENDING", "RUNNING"), seen
    same((job["BackupVaultName"], job["ResourceArn"], job["AccountId"]), (VAULT, arn(instance), ACCOUNT))
    assert job["RecoveryPointArn"].startswith(f"arn:aws:ec2:{REGION}::image/ami-"), job
    assert job["CompletionDate"] >= job["CreationDate"]
    same(backup.list_tags(ResourceArn=job["RecoveryPointArn"])["Tags"]["run"], "r-1")
    MADE.append(job["RecoveryPointArn"])


@case
def jobs_that_cannot_be():
    instance = instances("web")[6]
    refused("InvalidParameterValueException", 400, start, instance=instance, StartWindowMinutes=59)
    call = {"ResourceArn": arn(instance), "IamRoleArn": ROLE}
    refused("ResourceNotFoundException", 400, backup.start_backup_job, BackupVaultName="Nothing", **call)
    refused("InvalidParameterValueException", 400, start, instance=instance, BackupOptions={"Colour": "red"})
    refused("ResourceNotFoundException", 400, backup.describe_backup_job, BackupJobId="nothing")


@case
def unknown_members_are_refused():
    def colour(request):
        request["body"] = request["body"][:-1] + b',"Colour":"red"}'

    with altered(backup, colour):
        message = refused("InvalidParameterValueException", 400, start, instance=instances("web")[6])
    assert "Colour" in message
    with altered(backup, lambda request: request.update(url=request["url"] + "?colour=red")):
        refused("InvalidParameterValueException", 400, backup.list_backup_jobs)


@case
def jobs_are_listed_by_filter_and_page():
    first = start(instances("web")[7])["BackupJobId"]
    later("30s")
    before = backup.describe_backup_job(BackupJobId=first)["CreationDate"]
    ids = {start(instance)["BackupJobId"] for instance in instances("web")[8:12]}
    later("5s")
    found, count = pages(backup, "list_backup_jobs", "BackupJobs", 2, ByCreatedAfter=before)
    complete([job["BackupJobId"] for job in found], ids, count, 2)
    one = backup.list_backup_jobs(ByResourceArn=arn(instances("web")[8]), ByBackupVaultName=VAULT)["BackupJobs"]
    same(len(one), 1)
    same(backup.list_backup_jobs(ByBackupVaultName="Locked")["BackupJobs"], [])
    for job in ids:
        same(finished(job)[1]["State"], "COMPLETED")
    done, _ = pages(backup, "list_backup_jobs", "BackupJobs", 3, ByState="COMPLETED")
    assert ids <= {job["BackupJobId"] for job in done}


@case
def a_job_is_stopped():
    instance = instances("web")[5]
    job = start(instance)["BackupJobId"]
    later("70s")
    same(backup.describe_backup_job(BackupJobId=job)["State"], "RUNNING")
    backup.stop_backup_job(BackupJobId=job)
    seen, found = finished(job)
    same((found["State"], "RecoveryPointArn" in found), ("ABORTED", False))
    call = backup.list_recovery_points_by_resource
    same(call(ResourceArn=arn(instance))["RecoveryPoints"], [])
    refused("InvalidRequestException", 400, backup.stop_backup_job, BackupJobId=job)
    refused("ResourceNotFoundException", 400, backup.stop_backup_job, BackupJobId="nothing")


@case
def recovery_points_are_listed():
    points, count = pages(
        backup, "list_recovery_points_by_backup_vault", "RecoveryPoints", 2, BackupVaultName=VAULT
    )
    arns = [point["RecoveryPointArn"] for point in points]
    assert MADE[0] in arns and len(set(arns)) == len(arns) and count >= 3, arns
    same({point["Status"] for point in points}, {"COMPLETED"})
    by_resource, _ = pages(
        backup, "list_recovery_points_by_resource", "RecoveryPoints", 5, ResourceArn=arn(instances("web")[4])
    )
    same([point["RecoveryPointArn"] for point in by_resource], [MADE[0]])
    call = backup.list_recovery_points_by_backup_vault
    refused("ResourceNotFoundException", 400, call, BackupVaultName="Nothing")


@case
def a_recovery_point_is_restored_to_a_new_instance():
    point = backup.describe_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=MADE[0])
    same((point["Status"], point["StorageClass"]), ("COMPLETED", "WARM"))
    metadata = backup.get_recovery_point_restore_metadata(BackupVaultName=VAULT, RecoveryPointArn=MADE[0])
    assert metadata["RestoreMetadata"]["InstanceType"], metadata
    request = {
        "RecoveryPointArn": MADE[0],
        "Metadata": metadata["RestoreMetadata"],
        "IamRoleArn": ROLE,
        "IdempotencyToken": "restore-once",
        "CopySourceTagsToRestoredResource": False,
    }
    started = backup.start_restore_job(**request)["RestoreJobId"]
    assert backup.start_restore_job(**request).get("RestoreJobId") in (None, started)
    later("5s")
    for _ in range(400):
        job = backup.describe_restore_job(RestoreJobId=started)
        if job["Status"] in ("COMPLETED", "FAILED", "ABORTED"):
            break
        assert job["Status"] in ("PENDING", "RUNNING"), job
        later("60s")
    same(job["Status"], "COMPLETED")
    new = job["CreatedResourceArn"].split("/")[-1]
    ec2 = client("ec2")
    later("5m")
    found = ec2.describe_instances(InstanceIds=[new])["Reservations"][0]["Instances"][0]
    same(found["State"]["Name"], "running")
    assert new != instances("web")[4]
    listed, _ = pages(backup, "list_restore_jobs", "RestoreJobs", 1, ByStatus="COMPLETED")
    same([one["RestoreJobId"] for one in listed], [started])
    refused("ResourceNotFoundException", 400, backup.describe_restore_job, RestoreJobId="nothing")


@case
def images_stand_behind_recovery_points():
    ec2 = client("ec2")
    image = MADE[0].split("/")[-1]
    found = ec2.describe_images(ImageIds=[image], Owners=["self"])["Images"]
    same([(one["ImageId"], one["State"]) for one in found], [(image, "available")])
    snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in found[0]["BlockDeviceMappings"]]
    same(len(snapshots), 2)
    ec2.get_waiter("image_available").wait(ImageIds=[image])
    everything = {one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]}
    listed, count = pages(ec2, "describe_images", "Images", 2, Owners=["self"])
    complete([one["ImageId"] for one in listed], everything, count, 2)
    refused("InvalidAMIID.NotFound", 400, ec2.describe_images, ImageIds=["ami-0123456789abcdef0"])
    other = (everything - {image}).pop()
    ec2.deregister_image(ImageId=other)
    later("10s")
    refused("InvalidAMIID.NotFound", 400, ec2.describe_images, ImageIds=[other])


@case
def a_recovery_point_is_deleted():
    call = {"BackupVaultName": VAULT, "RecoveryPointArn": MADE[0]}
    backup.delete_recovery_point(**call)
    later("2m")
    refused("ResourceNotFoundException", 400, backup.describe_recovery_point, **call)
    refused("ResourceNotFoundException", 400, backup.delete_recovery_point, **call)
