"""machines.py PORT NAME…: what runs on the machines of an EC2 server that only pretends to have some.

POST /ID is the change: it leaves its mark on the machine's root volume, and on the machines of these names it goes wrong.
GET /ID is 200 from a machine that is well, and 503 from one whose root volume the change spoiled.

The endpoint and the credentials come from the environment, as for every AWS client.
"""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3

port, spoiled = int(sys.argv[1]), set(sys.argv[2:])
ec2 = boto3.client("ec2")


def tags(described):
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


class Machines(BaseHTTPRequestHandler):
    def machine(self):
        ids = [self.path.lstrip("/")]
        return ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]

    def root(self, machine):
        disks = [disk for disk in machine["BlockDeviceMappings"] if disk["DeviceName"] == machine["RootDeviceName"]]
        return disks[0]["Ebs"]["VolumeId"] if disks else None

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        machine = self.machine()
        state = "spoiled" if tags(machine)["Name"] in spoiled else "changed"
        ec2.create_tags(Resources=[self.root(machine)], Tags=[{"Key": "State", "Value": state}])
        self.answer(204)

    def do_GET(self):
        if self.path == "/":
            return self.answer(200)
        machine = self.machine()
        volume = self.root(machine)
        if machine["State"]["Name"] != "running" or volume is None:
            return self.answer(503)
        root = ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]
        self.answer(503 if tags(root).get("State") == "spoiled" else 200)


HTTPServer(("127.0.0.1", port), Machines).serve_forever()
