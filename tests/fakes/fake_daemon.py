"""A daemon of nothing but a lock, an endpoint file and the control API: python fake_daemon.py [options]

Prints `ready` when it answers. With --deaf it takes the lock and never answers; with --stubborn it agrees to
stop and goes on; with --slow it says that it needs a minute, and takes a second. Exits with 75 when another one
holds the lock, as `puna serve` does.
"""

import json
import os
import secrets
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil

from puna.errors import AlreadyRunningError
from puna.instance import Endpoint, InstanceLock, remove_endpoint, write_endpoint
from puna.paths import Paths


class _Control(BaseHTTPRequestHandler):
    endpoint: Endpoint

    def do_GET(self) -> None:
        status = {
            "instance": self.endpoint.instance,
            "version": "0",
            "pid": os.getpid(),
            "uptime_s": 1.5,
            "address": self.endpoint.url,
            "requests": 3,
            "models": [],
        }
        self._answer(status if self.path == "/puna/v1/status" else None)

    def do_POST(self) -> None:
        is_slow = "--slow" in sys.argv
        stopping: dict[str, object] = (
            {"status": "stopping", "at_most_s": 60} if is_slow else {"status": "stopping"}
        )
        self._answer(stopping if self.path == "/puna/v1/shutdown" else None)
        if "--stubborn" not in sys.argv:
            threading.Timer(is_slow, self.server.shutdown).start()

    def _answer(self, body: dict[str, object] | None) -> None:
        is_known = self.headers["Authorization"] == f"Bearer {self.endpoint.token}"
        content = json.dumps(body if is_known else {"detail": "a wrong token"}).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - named by http.server
        """Say nothing."""


def main() -> int:
    """Run until asked to stop."""
    paths = Paths.for_user()
    try:
        with InstanceLock(paths):
            return _serve(paths)
    except AlreadyRunningError as error:
        print(error.message, file=sys.stderr)
        return 75


def _serve(paths: Paths) -> int:
    with HTTPServer(("127.0.0.1", 0), _Control) as server:
        _Control.endpoint = _endpoint(server.server_port)
        write_endpoint(paths, _Control.endpoint)
        is_deaf = "--deaf" in sys.argv
        if is_deaf and sys.platform != "win32":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        if is_deaf:
            threading.Event().wait()
        server.serve_forever(poll_interval=0.02)
    remove_endpoint(paths)
    return 0


def _endpoint(port: int) -> Endpoint:
    return Endpoint(
        pid=os.getpid(),
        create_time=psutil.Process().create_time(),
        host="127.0.0.1",
        port=port,
        token=secrets.token_urlsafe(24),
        instance=secrets.token_hex(8),
        version="0",
    )


if __name__ == "__main__":
    sys.exit(main())
