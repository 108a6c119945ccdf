"""The AWS CLI, by its command line."""

import json
import os
import subprocess
import sys

from harness import ACCOUNT, COMMANDS, ENDPOINT, REGION, case, instances, later, same

AWS = os.path.join(os.path.dirname(sys.executable), "aws")
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "AWS_ENDPOINT_URL": ENDPOINT,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT}TEST",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_PAGER": "",
}


def run(*words):
    """A command line: exit code, standard output, standard error."""
    done = subprocess.run([AWS, *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    COMMANDS.add(" ".join(words[: 3 if words[1] == "wait" else 2]))
    return done.returncode, done.stdout, done.stderr


def aws(*words):
    """What a command line prints, which must succeed."""
    code, output, error = run(*words, "--output", "json")
    same((code, error), (0, ""))
    return json.loads(output) if output.strip() else None


def text(*words):
    code, output, error = run(*words, "--output", "text")
    same((code, error), (0, ""))
    return output.split()


@case
def who_one_is():
    same(aws("sts", "get-caller-identity")["Account"], ACCOUNT)


@case
def instances_by_tag_and_query():
    found = text(
        "ec2", "describe-instances", "--filters", "Name=tag:Group,Values=web", "Name=instance-state-name,Values=running",
        "--query", "Reservations[].Instances[].InstanceId", "--page-size", "5",
    )
    same(sorted(found), sorted(instances("web")))


@case
def an_error_says_its_code():
    code, _, error = run("ec2", "describe-instances", "--instance-ids", "i-0123456789abcdef0")
    assert code != 0 and "(InvalidInstanceID.NotFound)" in error, error
    code, _, error = run("ec2", "stop-instances", "--dry-run", "--instance-ids", instances("web")[0])
    assert code != 0 and "(DryRunOperation)" in error, error


@case
def snapshots_are_made_and_waited_for():
    instance = instances("web")[10]
    made = aws(
        "ec2", "create-snapshots", "--instance-specification", f"InstanceId={instance}",
        "--tag-specifications", "ResourceType=snapshot,Tags=[{Key=by,Value=cli}]",
    )["Snapshots"]
    ids = [snapshot["SnapshotId"] for snapshot in made]
    later("10m")
    aws("ec2", "wait", "snapshot-completed", "--snapshot-ids", *ids)
    found = text(
        "ec2", "describe-snapshots", "--owner-ids", "self", "--filters", "Name=tag:by,Values=cli",
        "--query", "Snapshots[?State=='completed'].SnapshotId",
    )
    same(sorted(found), sorted(ids))
    aws("ec2", "delete-snapshot", "--snapshot-id", ids[0])


@case
def tags_are_put():
    instance = instances("web")[10]
    aws("ec2", "create-tags", "--resources", instance, "--tags", "Key=by,Value=a cli & more")
    later("10s")
    found = aws("ec2", "describe-tags", "--filters", f"Name=resource-id,Values={instance}", "Name=key,Values=by")
    same([tag["Value"] for tag in found["Tags"]], ["a cli & more"])


@case
def an_instance_is_stopped_and_started():
    instance = instances("swap")[5]
    aws("ec2", "stop-instances", "--instance-ids", instance)
    later("10m")
    aws("ec2", "wait", "instance-stopped", "--instance-ids", instance)
    aws("ec2", "start-instances", "--instance-ids", instance)
    later("10m")
    aws("ec2", "wait", "instance-running", "--instance-ids", instance)
    aws("ec2", "wait", "instance-status-ok", "--instance-ids", instance)


@case
def volumes_by_attachment():
    instance = instances("web")[10]
    found = text(
        "ec2", "describe-volumes", "--filters", f"Name=attachment.instance-id,Values={instance}",
        "--query", "Volumes[].Attachments[].InstanceId",
    )
    same(found, [instance, instance])


@case
def a_command_is_sent_and_read():
    instance = instances("db")[0]
    sent = text(
        "ssm", "send-command", "--document-name", "AWS-RunShellScript", "--instance-ids", instance,
        "--parameters", "commands=uptime", "--comment", "by the cli", "--query", "Command.CommandId",
    )[0]
    later("5m")
    aws("ssm", "wait", "command-executed", "--command-id", sent, "--instance-id", instance)
    found = aws("ssm", "get-command-invocation", "--command-id", sent, "--instance-id", instance)
    same((found["Status"], found["Comment"]), ("Success", "by the cli"))
    listed = text("ssm", "list-command-invocations", "--command-id", sent, "--query", "CommandInvocations[].InstanceId")
    same(listed, [instance])


@case
def agents_are_listed():
    found = text(
        "ssm", "describe-instance-information", "--filters", "Key=tag:Group,Values=db",
        "--query", "InstanceInformationList[].InstanceId",
    )
    same(sorted(found), sorted(instances("db")))


@case
def a_backup_is_made():
    instance = instances("db")[0]
    job = text(
        "backup", "start-backup-job", "--backup-vault-name", "Default", "--iam-role-arn", f"arn:aws:iam::{ACCOUNT}:role/b",
        "--resource-arn", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance}", "--query", "BackupJobId",
    )[0]
    later("6h")
    same(aws("backup", "describe-backup-job", "--backup-job-id", job)["State"], "COMPLETED")
    points = aws("backup", "list-recovery-points-by-backup-vault", "--backup-vault-name", "Default")["RecoveryPoints"]
    assert any(point["ResourceArn"].endswith(instance) for point in points), points


@case
def alarms_are_listed():
    found = text("cloudwatch", "describe-alarms", "--query", "MetricAlarms[].AlarmName")
    same(sorted(found), [f"web-{n}" for n in range(1, 6)])
