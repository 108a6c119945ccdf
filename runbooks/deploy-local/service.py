"""A small HTTP service, so that a rollout has something real to roll out.

    service.py start FOLDER PORT    starts what FOLDER/current holds, and returns when it listens
    service.py stop FOLDER          stops what was started there, if it runs

The process holds a lock on FOLDER/service.pid as long as it lives: whoever gets the lock knows that nothing runs,
so that a process that was given the same number later is never mistaken for the service.
"""

import fcntl
import importlib.util
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATIENCE = 10  # seconds for a stop, and for the lock of a predecessor


def load(folder):
    spec = importlib.util.spec_from_file_location("app", folder / "current" / "app.py")
    app = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(app)
    return app


def handler(app):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/healthz":
                status = 200 if app.healthy() else 500
            else:
                status = 200 if self.path == "/" else 404
            body = f"{app.VERSION}\n".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def locked(folder):
    """The pid file with its lock, or None while a service holds it."""
    file = open(folder / "service.pid", "a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def start(folder, port):
    app = load(folder)
    file = locked(folder)
    if file is None:
        sys.exit(f"a service already runs in {folder}")
    # Binding before the fork: a port that is taken fails the step at once, with the reason.
    server = ThreadingHTTPServer(("127.0.0.1", port), handler(app))
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    server.serve_forever()


def stop(folder):
    if not (folder / "service.pid").exists():
        return
    deadline = time.monotonic() + PATIENCE
    sent = False
    while locked(folder) is None:
        pid = (folder / "service.pid").read_text().strip()
        if pid and not sent:
            os.kill(int(pid), signal.SIGTERM)
            sent = True
        if time.monotonic() > deadline:
            sys.exit(f"process {pid} did not stop")
        time.sleep(0.02)


if __name__ == "__main__":
    if sys.argv[1] == "start":
        start(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "stop":
        stop(Path(sys.argv[2]))
    else:
        sys.exit(__doc__)
