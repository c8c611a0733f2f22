"""How fast bytes come, and how long the rest takes: pure, over times that are given."""

import math
from collections import deque

_WINDOW_S = 8.0
_MIN_SPAN_S = 1.0
_MIN_STEP_S = 0.1


class RateEstimator:
    """The rate over the last seconds. Times are monotonic seconds, and never go back."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, done_bytes: int) -> None:
        """Take note of how much has come in all, which never becomes less."""
        points = self._points
        if len(points) > 1 and now_s - points[-2][0] < _MIN_STEP_S:
            points[-1] = (now_s, done_bytes)
        else:
            points.append((now_s, done_bytes))
        while len(points) > 2 and now_s - points[1][0] >= _WINDOW_S:
            points.popleft()

    def reset(self) -> None:
        """Forget all: what comes now is another run."""
        self._points.clear()

    def rate(self, now_s: float) -> float | None:
        """Return bytes a second; falls towards zero while nothing comes, None where it is too early to tell."""
        if not self._points:
            return None
        begin_s, begin_bytes = self._points[0]
        span_s = now_s - begin_s
        if span_s < _MIN_SPAN_S:
            return None
        return (self._points[-1][1] - begin_bytes) / span_s

    def time_left(self, now_s: float, left_bytes: int) -> float | None:
        """Return the seconds until so many bytes have come; None where nobody can tell."""
        rate = self.rate(now_s)
        if left_bytes <= 0:
            return 0.0
        return None if not rate or not math.isfinite(rate) else left_bytes / rate
