"""What the daemon has answered since its start: counters only, nothing about anyone."""

import time
from collections import Counter

from puna.domain.generation import Usage


class Activity:
    """Counts requests and tokens. Used from the event loop only."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._request_count = 0
        self._open_requests = 0
        self._answers: Counter[tuple[str, int]] = Counter()
        self._usage: dict[str, Usage] = {}

    @property
    def uptime_s(self) -> float:
        """Seconds since this object was made, which is when the daemon started."""
        return time.monotonic() - self._started

    @property
    def request_count(self) -> int:
        """Requests begun, without health checks and the like (`Route.is_counted`)."""
        return self._request_count

    @property
    def open_requests(self) -> int:
        """Requests that are being answered now."""
        return self._open_requests

    @property
    def answers(self) -> dict[tuple[str, int], int]:
        """Requests ended, by dialect and HTTP status; 499 is a client that left."""
        return dict(self._answers)

    @property
    def usage(self) -> dict[str, Usage]:
        """Tokens by dialect."""
        return dict(self._usage)

    def begin(self, *, is_counted: bool) -> None:
        """Note that a request arrived; `end` must follow."""
        self._open_requests += 1
        self._request_count += is_counted

    def end(self, dialect: str, status: int, usage: Usage) -> None:
        """Note that a request was answered, or that its client left."""
        self._open_requests -= 1
        self._answers[dialect, status] += 1
        self._usage[dialect] = self._usage.get(dialect, Usage()) + usage
