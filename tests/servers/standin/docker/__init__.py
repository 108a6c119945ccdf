"""A stand-in for the Docker SDK, so that ministack runs scripts for real without a Docker daemon.

A "container" is a folder under BOXES (default: a new temporary folder), `exec_run` is a subprocess in it with
INSTANCE_ID set. All boxes share one file system, so whatever a script keeps on "its" machine must be named by instance.
Only what ministack's EC2 and SSM services call is here.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import types
import uuid

from docker import errors

_ROOT = pathlib.Path(os.environ.get("BOXES") or tempfile.mkdtemp(prefix="boxes-"))
_LOCK = threading.Lock()
_BOXES = {}


class Container:
    """One box: a folder, and the processes that `exec_run` starts in it."""

    def __init__(self, name, labels):
        self.id, self.name, self.labels, self.status = uuid.uuid4().hex, name, labels, "running"
        self.attrs = {"NetworkSettings": {"Networks": {}}, "Config": {}, "Labels": labels}
        self.instance = labels.get("instance_id", name)
        self.folder = _ROOT / self.instance
        self.folder.mkdir(parents=True, exist_ok=True)

    def exec_run(self, argv, demux=False):
        """Runs `argv` to its end; exit code, and (stdout, stderr) or both in one."""
        if self.status != "running":
            raise errors.APIError(f"container {self.name} is not running")
        done = subprocess.run(
            argv, cwd=self.folder, env=dict(os.environ, INSTANCE_ID=self.instance), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE if demux else subprocess.STDOUT, check=False,
        )
        return types.SimpleNamespace(exit_code=done.returncode, output=(done.stdout, done.stderr) if demux else done.stdout)

    def reload(self):
        """A folder has no state of its own to read."""

    def start(self):
        """The box answers again."""
        self.status = "running"

    def stop(self, timeout=10):
        """The box answers no more."""
        self.status = "exited"

    def restart(self, timeout=10):
        """As a machine after its reboot."""
        self.start()

    def remove(self, force=False, v=False):
        """The box and its folder are gone."""
        with _LOCK:
            _BOXES.pop(self.name, None)
        self.status = "dead"
        shutil.rmtree(self.folder, ignore_errors=True)


class _Containers:
    def run(self, image, name, labels=None, **_options):
        """Starts a box; whatever else ministack asks for means nothing to a folder."""
        box = Container(name, labels or {})
        with _LOCK:
            _BOXES[name] = box
        return box

    def get(self, key):
        """By name or id."""
        with _LOCK:
            for box in _BOXES.values():
                if key in (box.name, box.id):
                    return box
        raise errors.NotFound(f"no such container: {key}")

    def list(self, **_filters):
        """Only this process has boxes, and all of them are its own."""
        with _LOCK:
            return list(_BOXES.values())


class _Images:
    def get(self, reference):
        """Every reference is an image without an entry point."""
        return types.SimpleNamespace(attrs={"Config": {}}, tags=[reference])

    pull = get


class _Client:
    containers, images = _Containers(), _Images()

    def ping(self):
        """There is no daemon that could be away."""
        return True


def from_env(**_options):
    """The client that `docker.from_env` gives."""
    return _Client()
