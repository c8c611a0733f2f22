"""What keeps one rate for one client. Times are seconds on one clock, which may be set back."""

from typing import Protocol

from puna.limits.rates import Rate

_TOLERANCE_S = 1e-6
"""Times since 1970 have no finer steps: who waited as long as it was told gets through."""


class Meter(Protocol):
    """One rate of one client."""

    def wait_s(self, now: float) -> float:
        """Return how long until a request may pass; 0 when it may now."""
        ...

    def take(self, now: float) -> None:
        """Count a request that passes; only when `wait_s` is 0."""
        ...

    def is_fresh(self, now: float) -> bool:
        """Whether it is as good as a new one, so that it can be forgotten."""
        ...


class TokenBucket:
    """Requests spread evenly, but for a burst; as the moment at which the bucket is full again (GCRA).

    In any time t pass at most burst + t * count / period requests.
    """

    def __init__(self, rate: Rate) -> None:
        """Full; a rate without a burst may come all at once."""
        burst = rate.count if rate.burst is None else rate.burst
        self._token_s = rate.period_s / rate.count
        self._capacity_s = burst * self._token_s
        self._full_at = float("-inf")

    def wait_s(self, now: float) -> float:
        """Return how long until the bucket holds a token."""
        wait_s = self._fill_time(now) + self._token_s - self._capacity_s
        return wait_s if wait_s > _TOLERANCE_S else 0.0

    def take(self, now: float) -> None:
        """Take a token."""
        self._full_at = now + self._fill_time(now) + self._token_s

    def is_fresh(self, now: float) -> bool:
        """Whether it is full."""
        return self._fill_time(now) == 0

    def _fill_time(self, now: float) -> float:
        # Never longer than from empty: the clock may have been set back.
        self._full_at = min(self._full_at, now + self._capacity_s)
        return max(self._full_at - now, 0.0)


class Window:
    """At most so many requests in the period that begins with the first of them; then the next begins."""

    def __init__(self, rate: Rate, *, began_at: float = float("-inf"), count: int = 0) -> None:
        """New, or as it was when it was last seen."""
        self._limit = rate.count
        self.period_s = rate.period_s
        self._began_at = began_at
        self._count = count

    @property
    def state(self) -> tuple[float, int]:
        """When the period began, and how many have passed in it."""
        return self._began_at, self._count

    def wait_s(self, now: float) -> float:
        """Return how long until the next period, when this one is used up."""
        elapsed_s = self._elapsed_s(now)
        is_open = elapsed_s >= self.period_s - _TOLERANCE_S or self._count < self._limit
        return 0.0 if is_open else self.period_s - elapsed_s

    def take(self, now: float) -> None:
        """Count one, in a new period where the last one is over."""
        is_over = self._elapsed_s(now) >= self.period_s - _TOLERANCE_S
        self._count = 1 if is_over else self._count + 1
        self._began_at = now if is_over else self._began_at

    def is_fresh(self, now: float) -> bool:
        """Whether the period is over."""
        return self._elapsed_s(now) >= self.period_s

    def _elapsed_s(self, now: float) -> float:
        # Not in the future: the clock may have been set back.
        self._began_at = min(self._began_at, now)
        return now - self._began_at
