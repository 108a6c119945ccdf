"""Systems Manager: commands, agents, patches, documents."""

import datetime

from harness import altered, case, client, complete, instances, later, pages, refused, same, wait

ssm = client("ssm")
SHELL = "AWS-RunShellScript"
NOWHERE = "00000000-0000-0000-0000-000000000000"


def send(**parameters):
    request = {"DocumentName": SHELL, "Parameters": {"commands": ["true"]}, **parameters}
    return ssm.send_command(**request)["Command"]


def ended(command):
    """The invocations of a command, once all have ended."""
    for _ in range(100):
        later("5s")
        answer = ssm.list_commands(CommandId=command)["Commands"]
        if answer and answer[0]["Status"] not in ("Pending", "InProgress", "Cancelling"):
            found, _ = pages(ssm, "list_command_invocations", "CommandInvocations", 50, CommandId=command)
            return answer[0], {row["InstanceId"]: row for row in found}
    raise AssertionError(f"{command} does not end")


@case
def a_command_is_executed():
    instance = instances("web")[0]
    command = send(InstanceIds=[instance], Comment="runbook r-1", Parameters={"commands": ["echo hello"]})
    same((command["Status"], command["DocumentName"], command["Comment"]), ("Pending", SHELL, "runbook r-1"))
    assert command["ExpiresAfter"] > command["RequestedDateTime"]
    # The waiter bears that the invocation is not visible at first.
    wait(ssm, "command_executed", 5, CommandId=command["CommandId"], InstanceId=instance)
    found = ssm.get_command_invocation(CommandId=command["CommandId"], InstanceId=instance)
    same((found["Status"], found["StatusDetails"], found["ResponseCode"]), ("Success", "Success", 0))
    assert found["ExecutionStartDateTime"] <= found["ExecutionEndDateTime"]


@case
def an_invocation_is_not_visible_at_first():
    instance = instances("web")[1]
    command = send(InstanceIds=[instance])["CommandId"]
    call = ssm.get_command_invocation
    refused("InvocationDoesNotExist", 400, call, CommandId=command, InstanceId=instance)
    same(ssm.list_command_invocations(CommandId=command)["CommandInvocations"], [])
    later("5s")
    same(call(CommandId=command, InstanceId=instance)["InstanceId"], instance)
    refused("InvocationDoesNotExist", 400, call, CommandId=NOWHERE, InstanceId=instance)


@case
def commands_by_tag():
    command = send(Targets=[{"Key": "tag:Group", "Values": ["web"]}], MaxConcurrency="50%", MaxErrors="1")
    summary, rows = ended(command["CommandId"])
    same(set(rows), set(instances("web")))
    same((summary["TargetCount"], summary["CompletedCount"], summary["ErrorCount"]), (12, 12, 0))
    same({row["Status"] for row in rows.values()}, {"Success"})


@case
def pages_of_invocations_are_complete():
    command = send(Targets=[{"Key": "tag:Group", "Values": ["web"]}])["CommandId"]
    ended(command)
    for size in (1, 5, 50):
        found, count = pages(ssm, "list_command_invocations", "CommandInvocations", size, CommandId=command, Details=True)
        complete([row["InstanceId"] for row in found], set(instances("web")), count, size)
        assert all(row["CommandPlugins"][0]["Name"] for row in found)


@case
def commands_are_listed_by_filter():
    before = datetime.datetime.now(datetime.timezone.utc)
    first = send(InstanceIds=instances("db")[:1], Comment="first")
    start = first["RequestedDateTime"].astimezone(datetime.timezone.utc)
    assert start < before, "the sandbox has a time of its own"
    later("60s")
    second = send(InstanceIds=instances("db")[:1], Comment="second")
    later("60s")
    since = (start + datetime.timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    filters = [{"key": "InvokedAfter", "value": since}, {"key": "DocumentName", "value": SHELL}]
    found, _ = pages(ssm, "list_commands", "Commands", 1, Filters=filters)
    same([command["CommandId"] for command in found], [second["CommandId"]])
    on_it, _ = pages(ssm, "list_commands", "Commands", 2, InstanceId=instances("db")[0])
    assert {first["CommandId"], second["CommandId"]} <= {command["CommandId"] for command in on_it}
    refused("InvalidFilterKey", 400, ssm.list_commands, Filters=[{"key": "Colour", "value": "red"}])
    every, count = pages(ssm, "list_commands", "Commands", 2)
    same(len({command["CommandId"] for command in every}), len(every))
    assert count >= 3


@case
def wrong_commands_are_refused():
    instance = instances("web")[:1]
    call = ssm.send_command
    good = {"DocumentName": SHELL, "Parameters": {"commands": ["true"]}, "InstanceIds": instance}
    refused("InvalidDocument", 400, call, **{**good, "DocumentName": "No-Document"})
    refused("InvalidParameters", 400, call, **{**good, "Parameters": {"colour": ["red"]}})
    refused("InvalidInstanceId", 400, call, **{**good, "InstanceIds": ["i-0123456789abcdef0"]})
    refused("DuplicateInstanceId", 400, call, **{**good, "InstanceIds": instance * 2})
    refused("ValidationException", 400, call, **good, MaxConcurrency="0")
    refused("ValidationException", 400, call, **good, Targets=[{"Key": "tag:Group", "Values": ["web"]}])
    refused("InvalidDocumentVersion", 400, call, **good, DocumentVersion="77")


@case
def unknown_members_are_refused():
    def colour(request):
        request["body"] = request["body"][:-1] + b',"Colour":"red"}'

    with altered(ssm, colour):
        message = refused("ValidationException", 400, ssm.list_commands, MaxResults=5)
    assert "Colour" in message
    refused("UnknownOperationException", 400, ssm.describe_maintenance_windows)


@case
def a_command_is_cancelled():
    instance = instances("db")[1]
    parameters = {"commands": ["sleep 600"], "executionTimeout": ["600"]}
    command = send(InstanceIds=[instance], Parameters=parameters)["CommandId"]
    later("4s")
    ssm.cancel_command(CommandId=command, InstanceIds=[instance])
    summary, rows = ended(command)
    same(summary["Status"], "Cancelled")
    same(rows[instance]["Status"], "Cancelled")
    refused("InvalidCommandId", 400, ssm.cancel_command, CommandId=NOWHERE)


@case
def agents_are_paged_and_filtered():
    everything = ssm.describe_instance_information(MaxResults=50)["InstanceInformationList"]
    same(len(everything), 30)
    found, count = pages(ssm, "describe_instance_information", "InstanceInformationList", 7)
    complete([node["InstanceId"] for node in found], {node["InstanceId"] for node in everything}, count, 7)
    same({node["PingStatus"] for node in everything}, {"Online"})
    assert all(node["LastPingDateTime"].tzinfo is not None for node in everything)

    def ids(key, *values):
        filters = [{"Key": key, "Values": list(values)}]
        answer = ssm.describe_instance_information(Filters=filters, MaxResults=50)
        return {node["InstanceId"] for node in answer["InstanceInformationList"]}

    same(ids("InstanceIds", *instances("db")), set(instances("db")))
    same(ids("tag:Group", "win"), set(instances("win")))
    same(ids("PlatformTypes", "Windows"), set(instances("win")))
    same(ids("PingStatus", "ConnectionLost"), set())
    refused(
        "InvalidFilterKey", 400, ssm.describe_instance_information, Filters=[{"Key": "Colour", "Values": ["red"]}]
    )


@case
def patches_are_scanned():
    machines = instances("web")[:3]
    same(ssm.describe_instance_patch_states(InstanceIds=machines)["InstancePatchStates"], [])
    command = ssm.send_command(
        DocumentName="AWS-RunPatchBaseline",
        InstanceIds=machines,
        Parameters={"Operation": ["Scan"], "SnapshotId": ["3f2c9a4e-7c55-4c57-9b39-2a3c8f1d9e01"]},
        TimeoutSeconds=600,
    )["Command"]["CommandId"]
    summary, rows = ended(command)
    same({row["Status"] for row in rows.values()}, {"Success"})
    plugin = "PatchLinux"
    found = ssm.get_command_invocation(CommandId=command, InstanceId=machines[0], PluginName=plugin)
    same(found["PluginName"], plugin)
    later("30s")
    states = ssm.describe_instance_patch_states(InstanceIds=machines)["InstancePatchStates"]
    same({state["InstanceId"] for state in states}, set(machines))
    same({state["Operation"] for state in states}, {"Scan"})
    same({state["SnapshotId"] for state in states}, {"3f2c9a4e-7c55-4c57-9b39-2a3c8f1d9e01"})
    assert all(state["MissingCount"] > 0 and state["OperationEndTime"].tzinfo for state in states)
    group, count = pages(
        ssm, "describe_instance_patch_states_for_patch_group", "InstancePatchStates", 10, PatchGroup="Linux"
    )
    same({state["InstanceId"] for state in group}, set(machines))
    same(ssm.describe_patch_group_state(PatchGroup="Linux")["InstancesWithMissingPatches"], 3)
    patches, _ = pages(ssm, "describe_instance_patches", "Patches", 10, InstanceId=machines[0])
    missing = [patch for patch in patches if patch["State"] == "MISSING"]
    same(len(missing), states[0]["MissingCount"])


@case
def baselines_are_described():
    baselines, _ = pages(ssm, "describe_patch_baselines", "BaselineIdentities", 2)
    assert any(baseline["DefaultBaseline"] for baseline in baselines)
    default = ssm.get_default_patch_baseline(OperatingSystem="AMAZON_LINUX_2023")
    same(default["OperatingSystem"], "AMAZON_LINUX_2023")
    groups, _ = pages(ssm, "describe_patch_groups", "Mappings", 1)
    assert isinstance(groups, list)
    of_group = ssm.get_patch_baseline_for_patch_group(PatchGroup="Linux", OperatingSystem="AMAZON_LINUX_2023")
    same(of_group["PatchGroup"], "Linux")


@case
def documents_are_described():
    filters = [{"Key": "Owner", "Values": ["Amazon"]}]
    found, count = pages(ssm, "list_documents", "DocumentIdentifiers", 1, Filters=filters)
    names = {document["Name"] for document in found}
    assert {SHELL, "AWS-RunPatchBaseline"} <= names and count >= len(names)
    document = ssm.describe_document(Name=SHELL)["Document"]
    same((document["Name"], document["Status"]), (SHELL, "Active"))
    assert "commands" in {parameter["Name"] for parameter in document["Parameters"]}
    assert "runCommand" in ssm.get_document(Name=SHELL)["Content"]
    refused("InvalidDocument", 400, ssm.describe_document, Name="No-Document")


@case
def throttled_calls_say_so_and_are_repeated_by_an_sdk():
    refused("ThrottlingException", 400, ssm.describe_instance_patch_states, InstanceIds=instances("win"))
    patient = client("ssm", retries=3)
    same(patient.describe_instance_patch_states(InstanceIds=instances("win"))["InstancePatchStates"], [])


@case
def windows_has_its_own_document():
    machines = instances("win")
    command = ssm.send_command(
        DocumentName="AWS-RunPowerShellScript", InstanceIds=machines, Parameters={"commands": ["Get-Date"]}
    )["Command"]["CommandId"]
    summary, rows = ended(command)
    same((summary["Status"], set(rows)), ("Success", set(machines)))
