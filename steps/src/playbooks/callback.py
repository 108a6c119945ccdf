"""What runbook asks of a playbook: how each host came out, a JSON line for each thing that happened.

It needs nothing but ansible itself, and runs under every ansible and Python that can run playbooks. The file that it
appends to is named by RUNBOOK_PLAY_EVENTS. Results of tasks are not written: only the message of a task that failed, and
nothing of it where the task says `no_log`.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import socket

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: runbook_events
    type: aggregate
    short_description: tells runbook how each host came out
    description: Appends JSON lines to the file named by RUNBOOK_PLAY_EVENTS.
"""

# More of a message than runbook shows, less than a file in memory should hold.
MOST = 8000


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "runbook_events"

    def __init__(self, *args, **kwargs):
        super(CallbackModule, self).__init__(*args, **kwargs)
        self._plays = []
        self._awaited = []
        self._items = {}
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._file = os.open(os.environ["RUNBOOK_PLAY_EVENTS"], flags, 0o600)
            self._tell({"event": "loaded"})
        except Exception as error:
            # Ansible would go on without us, and nobody would know what it did. No task has run yet.
            os.write(2, ("runbook cannot listen to this playbook: %s\n" % error).encode("utf-8"))
            os._exit(78)

    def _tell(self, event, sync=True):
        line = (json.dumps(event) + "\n").encode("utf-8")
        try:
            while line:
                line = line[os.write(self._file, line):]
            if sync:
                os.fsync(self._file)
        except OSError as error:
            # Not an Exception: ansible swallows those of callbacks, and would go on unheard.
            raise SystemExit("runbook cannot listen to this playbook any more: %s" % error)

    def v2_playbook_on_start(self, playbook):
        plays = playbook.get_plays()
        self._awaited = [(getattr(play, "_uuid", None), _text(play.get_name())) for play in plays]

    def v2_playbook_on_play_start(self, play):
        if not self._plays:
            # Before the first task of all.
            self._stay_where_planned(play)
        uuid = getattr(play, "_uuid", None)
        if not self._plays or self._plays[-1] != uuid:
            self._plays.append(uuid)
            self._awaited = [each for each in self._awaited if each[0] != uuid]
        hosts = None
        try:
            # With what `serial` leaves for later batches, without what --limit leaves out.
            inventory = play.get_variable_manager()._inventory
            hosts = [host.get_name() for host in inventory.get_hosts(play.hosts, ignore_restrictions=True)]
        except Exception:
            pass
        # Each batch of `serial` is one.
        self._tell({"event": "play", "play": len(self._plays), "name": _text(play.get_name()), "hosts": hosts})

    def _stay_where_planned(self, play):
        try:
            with open(os.environ["RUNBOOK_PLAY_PLACES"]) as file:
                planned = json.load(file)
            manager = play.get_variable_manager()
        except Exception as error:
            os.write(2, ("runbook cannot compare the inventory with the plan: %s\n" % error).encode("utf-8"))
            self._tell({"event": "elsewhere", "message": "the inventory cannot be compared with the plan"})
            os._exit(78)
        for name in sorted(planned):
            place = planned[name]
            try:
                host = manager._inventory.get_host(name)
                if host is None:
                    continue
                found = manager.get_vars(play=play, host=host)
                by = found.get("ansible_connection", getattr(play, "connection", None))
                # As ansible's ssh finds it: without a word it takes the name.
                address = _plain(found.get("ansible_host") or found.get("ansible_ssh_host") or name)
                port = _plain(found.get("ansible_port") or found.get("ansible_ssh_port"))
            except Exception:
                # Ansible will say what is wrong with it.
                continue
            if by == "local":
                continue
            if address is not None and not _same(address, place["address"]):
                why = "is at %s in the inventory, and at %s in the plan" % (address, place["address"])
            elif port is not None and place["port"] is not None and port != str(place["port"]):
                why = "is at port %s in the inventory, and at %s in the plan" % (port, place["port"])
            else:
                continue
            self._tell({"event": "elsewhere", "message": "%s %s" % (name, why)})
            os._exit(78)

    def v2_playbook_on_no_hosts_remaining(self):
        self._tell({"event": "cut"})

    def v2_runner_on_start(self, host, task):
        self._items.pop(host.get_name(), None)
        self._tell({"event": "began", "host": host.get_name(), "task": _name(task)}, sync=False)

    def v2_runner_item_on_failed(self, result):
        host = _host(result)
        self._items.setdefault(host, _message(result))

    def v2_runner_on_ok(self, result):
        changed = bool(_result(result).get("changed", False))
        self._tell({"event": "ended", "host": _host(result), "task": _name(_task(result)), "changed": changed},
                   sync=False)

    def v2_runner_on_skipped(self, result):
        self._tell({"event": "ended", "host": _host(result), "task": _name(_task(result)), "changed": False,
                    "skipped": True}, sync=False)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        host = _host(result)
        self._tell({
            "event": "failed",
            "host": host,
            "task": _name(_task(result)),
            "ignored": bool(ignore_errors),
            "fatal": _fatal(result) and not ignore_errors,
            "message": self._items.pop(host, None) or _message(result),
        })

    def v2_runner_on_unreachable(self, result):
        self._tell({
            "event": "unreachable",
            "host": _host(result),
            "task": _name(_task(result)),
            "fatal": _fatal(result),
            "message": _message(result),
        })

    def v2_playbook_on_stats(self, stats):
        keys = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")
        hosts = {}
        for host in stats.processed:
            summary = stats.summarize(host)
            hosts[host] = dict((key, int(summary.get(key, 0))) for key in keys)
        self._tell({"event": "stats", "hosts": hosts, "unplayed": [name for _, name in self._awaited]})


def _plain(value):
    # None: nothing is said, or only a template says it.
    text = None if value is None else _text(value)
    return None if text is None or "{{" in text or "{%" in text else text


def _same(one, other):
    if one == other:
        return True
    try:
        one, other = [set(found[4][0] for found in socket.getaddrinfo(name, None)) for name in (one, other)]
    except (OSError, UnicodeError):
        return False
    return not one.isdisjoint(other)


def _host(result):
    return (getattr(result, "host", None) or result._host).get_name()


def _task(result):
    return getattr(result, "task", None) or result._task


def _result(result):
    found = getattr(result, "result", None)
    return found if isinstance(found, dict) else result._result


def _name(task):
    return _text(task.get_name())[:200]


def _fatal(result):
    # Ansible then ends the play on all hosts, and counts no failure for the others.
    return getattr(_task(result), "any_errors_fatal", False) is True


def _message(result):
    found = _result(result)
    if "censored" in found or found.get("_ansible_no_log") or getattr(_task(result), "no_log", False) is True:
        return "its output is hidden (no_log)"
    message = _text(found.get("msg") or found.get("reason") or "").strip()
    code = found.get("rc")
    if isinstance(code, int) and code != 0:
        last = [line.strip() for line in _text(found.get("stderr") or "").splitlines() if line.strip()]
        message = "%s, exit code %d%s" % (message or "failed", code, ": " + last[-1] if last else "")
    return message[:MOST]


def _text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, type(u"")) else str(value)
