"""What the cases share: clients of the sandbox, its clock, and the list of cases.

Nothing here is made of the sandbox's own code: clients, paginators and waiters are botocore's, unchanged.
"""

import contextlib
import functools
import json
import os
import traceback
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

ENDPOINT = os.environ["SANDBOX"]
REGION = "eu-central-1"
ACCOUNT = "111111111111"
OTHER_ACCOUNT = "222222222222"

CASES = []
OPERATIONS = set()
COMMANDS = set()


def case(function):
    """A case: it fails by an exception."""
    CASES.append(function)
    return function


def client(service, account=ACCOUNT, region=REGION, retries=1, keys=None):
    """A client that repeats nothing unless it is told to, so that each answer is seen."""
    if keys is None:
        keys = {"aws_access_key_id": f"AKIA{account}TEST", "aws_secret_access_key": "secret"}
    made = boto3.session.Session(region_name=region, **keys).client(
        service,
        endpoint_url=ENDPOINT,
        config=botocore.config.Config(
            retries={"total_max_attempts": retries, "mode": "standard"},
            connect_timeout=10,
            read_timeout=60,
            parameter_validation=True,
        ),
    )
    made.meta.events.register("after-call", note)
    return made


def note(model, http_response, **_):
    """An operation counts when it was carried out, not when it was refused."""
    if http_response.status_code == 200:
        OPERATIONS.add(f"{model.service_model.service_name}:{model.name}")


def control(path, body=None):
    """The sandbox's own requests: clock, calls."""
    request = urllib.request.Request(f"{ENDPOINT}/_sandbox/{path}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def later(span):
    """Moves the sandbox's clock."""
    return control("clock", {"by": span})["now"]


@contextlib.contextmanager
def passing(of, span):
    """Every call of this client comes so much later than the one before: time passes without anybody waiting."""

    def move(**_):
        later(span)

    of.meta.events.register("before-call", move)
    try:
        yield
    finally:
        of.meta.events.unregister("before-call", move)


def wait(of, name, seconds, **parameters):
    """A waiter of botocore, with its own number of attempts; between them its own delay passes in the sandbox."""
    with passing(of, f"{seconds}s"):
        of.get_waiter(name).wait(**parameters, WaiterConfig={"Delay": 0})


@contextlib.contextmanager
def altered(of, change):
    """Requests are changed behind the validation of botocore: for parameters that AWS does not have."""

    def alter(params, **_):
        change(params)

    of.meta.events.register("before-call", alter)
    try:
        yield
    finally:
        of.meta.events.unregister("before-call", alter)


def refused(code, status, call, **parameters):
    """A call is refused with this code and HTTP status; the sentence of the refusal."""
    try:
        answer = call(**parameters)
    except botocore.exceptions.ClientError as error:
        found = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert found == (code, status), f"{found} instead of {(code, status)}: {error}"
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} expected, but it was carried out: {answer}")


def same(found, expected):
    assert found == expected, f"{found!r} instead of {expected!r}"


def pages(of, operation, key, size, **parameters):
    """Everything that a paginator gives, and how many pages it took."""
    found, count = [], 0
    for page in of.get_paginator(operation).paginate(**parameters, PaginationConfig={"PageSize": size}):
        count += 1
        assert len(page[key]) <= size, f"a page of {len(page[key])}, though {size} were asked for"
        found.extend(page[key])
    return found, count


def complete(found, expected, count, size):
    """Pages are complete and without doubles, and there are more than one where they must be."""
    same(len(found), len(set(found)))
    same(set(found), set(expected))
    assert count >= len(expected) / size, f"{count} pages of {size}"


def tags(of):
    return {tag["Key"]: tag["Value"] for tag in of.get("Tags", [])}


@functools.cache
def ours():
    """A client is slow to make."""
    return client("ec2")


def instances(group, ec2=None):
    """Ids of the machines of a group, by name."""
    filters = [{"Name": "tag:Group", "Values": [group]}]
    answer = (ec2 or ours()).describe_instances(Filters=filters)
    found = [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]
    found.sort(key=lambda instance: tags(instance)["Name"])
    return [instance["InstanceId"] for instance in found]


def run():
    """Runs all cases in their order; what they did as JSON."""
    failed = []
    for function in CASES:
        name = f"{function.__module__}.{function.__name__}"
        try:
            function()
            print(f"ok {name}", flush=True)
        except Exception:  # noqa: BLE001 - whatever it is, the case failed
            failed.append(name)
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
    summary = {
        "cases": len(CASES),
        "failed": failed,
        "operations": sorted(OPERATIONS),
        "commands": sorted(COMMANDS),
    }
    print(f"summary {json.dumps(summary)}", flush=True)
    return 1 if failed else 0
