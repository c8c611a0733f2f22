"""A control API of nothing but answers that were written down, for commands."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from puna.instance import Endpoint


class CannedControl:
    """Answers by method and path, and remembers the bodies that it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.asked: list[tuple[str, object]] = []

    def answer(self, route: str, value: object, status: int = 200) -> None:
        """Answer `GET /path` and the like in JSON."""
        self.answers[route] = (status, "application/json", msgspec.json.encode(value))

    def stream(self, route: str, *events: object, name: str = "finetune") -> None:
        """Answer with server-sent events."""
        frames = [b": hello\n\n"]
        frames += [b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(each)) for each in events]
        self.answers[route] = (200, "text/event-stream", b"".join(frames))

    def body_of(self, route: str) -> object:
        """Return the last body that a route was sent."""
        return next(body for asked, body in reversed(self.asked) if asked == route)


@contextmanager
def run_canned_control() -> Iterator[tuple[CannedControl, Endpoint]]:
    """Run it on a free port."""
    control = CannedControl()

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length)
            route = f"{self.command} {self.path}"
            control.asked.append((route, json.loads(content) if content else None))
            unknown = (404, "application/json", b'{"detail": "Not Found"}')
            status, kind, body = control.answers.get(route, unknown)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _respond  # noqa: N815 - named by http.server

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - named by http.server
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield control, endpoint_at(server.server_port)
        finally:
            server.shutdown()
            thread.join()


def endpoint_at(port: int) -> Endpoint:
    """Return the endpoint of something that answers on a port of this machine."""
    return Endpoint(
        pid=1, create_time=0.0, host="127.0.0.1", port=port, token="token", instance="test", version="0"
    )
