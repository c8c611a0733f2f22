"""All meters of the daemon. Used from the event loop only."""

import math
from collections.abc import Callable, Iterable

from msgspec import Struct

from puna.errors import RateLimitedError
from puna.limits.meters import Meter, TokenBucket, Window
from puna.limits.rates import Rate, RateRules

LASTING_PERIOD_S = 3_600
"""Windows of this length and longer are worth remembering over a restart."""
CLIENT_LIMIT = 10_000
"""Clients that are remembered; beyond, the one that asked longest ago is forgotten."""
_SWEEP_INTERVAL_S = 60.0


class UsageCount(Struct, frozen=True):
    """How often a client has asked in a long window."""

    dialect: str
    client: str
    period_s: int
    began_at: float
    count: int


class Limiter:
    """Counts requests by dialect and client, and refuses those that come too often."""

    def __init__(self, rules: RateRules, clock: Callable[[], float]) -> None:
        """`clock` gives seconds since 1970: a window of a day goes on while the machine sleeps."""
        self._rules = {dialect: rates for dialect, rates in rules.items() if rates}
        self._clock = clock
        self._meters: dict[tuple[str, str], tuple[Meter, ...]] = {}
        self._changed: set[tuple[str, str]] = set()
        self._next_sweep = float("-inf")

    @property
    def client_count(self) -> int:
        """How many clients are remembered, each once for every dialect."""
        return len(self._meters)

    def take(self, dialect: str, client: str) -> None:
        """Count one request. Raises `RateLimitedError` when it comes too soon; it is not counted then."""
        rates = self._rules.get(dialect)
        if rates is None:
            return
        now = self._clock()
        self._sweep(now)
        # Put back at the end: the first one is always the one that asked longest ago.
        meters = self._meters.pop((dialect, client), None) or tuple(map(_new_meter, rates))
        self._meters[dialect, client] = meters
        wait_s = max(meter.wait_s(now) for meter in meters)
        if wait_s > 0:
            raise RateLimitedError(_refusal(dialect, rates, wait_s), retry_after_s=wait_s)
        for meter in meters:
            meter.take(now)
        self._changed.add((dialect, client))

    def take_changes(self) -> list[UsageCount]:
        """Return the counts of long windows that have changed since the last call."""
        changed, self._changed = self._changed, set()
        return [
            UsageCount(dialect, client, meter.period_s, *meter.state)
            for dialect, client in changed
            for meter in self._meters.get((dialect, client), ())
            if isinstance(meter, Window) and meter.period_s >= LASTING_PERIOD_S
        ]

    def restore(self, counts: Iterable[UsageCount]) -> None:
        """Go on from the counts of an earlier run; before any request."""
        known = {(one.dialect, one.client, one.period_s): one for one in counts}
        for dialect, client in {(dialect, client) for dialect, client, _ in known}:
            rates = self._rules.get(dialect, ())
            if rates:
                self._meters[dialect, client] = tuple(
                    _restored_meter(rate, known.get((dialect, client, rate.period_s))) for rate in rates
                )

    def _sweep(self, now: float) -> None:
        """Forget clients that have been away for so long that nothing is held against them."""
        if now >= self._next_sweep or now < self._next_sweep - _SWEEP_INTERVAL_S:
            self._next_sweep = now + _SWEEP_INTERVAL_S
            fresh = [
                client
                for client, meters in self._meters.items()
                if all(meter.is_fresh(now) for meter in meters)
            ]
            for client in fresh:
                del self._meters[client]
        while len(self._meters) >= CLIENT_LIMIT:
            del self._meters[next(iter(self._meters))]


def _new_meter(rate: Rate) -> Meter:
    return Window(rate) if rate.burst is None else TokenBucket(rate)


def _restored_meter(rate: Rate, count: UsageCount | None) -> Meter:
    if count is None or rate.burst is not None:
        return _new_meter(rate)
    return Window(rate, began_at=count.began_at, count=count.count)


def _refusal(dialect: str, rates: tuple[Rate, ...], wait_s: float) -> str:
    allowed = " and ".join(map(str, rates))
    return (
        f"Too many requests: {dialect} allows {allowed}; try again in {math.ceil(wait_s)} s, "
        "or change the setting rate_limits."
    )
