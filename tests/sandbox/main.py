"""Drives a sandbox with boto3 and the AWS CLI: SANDBOX=http://127.0.0.1:PORT python main.py"""

import sys

import harness

# In this order: what writes comes behind what counts.
import accounts  # noqa: F401
import ec2_reads  # noqa: F401
import ssm  # noqa: F401
import ec2_snapshots  # noqa: F401
import ec2_volumes  # noqa: F401
import ec2_instances  # noqa: F401
import backup  # noqa: F401
import cli  # noqa: F401

sys.exit(harness.run())
