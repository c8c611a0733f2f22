"""What to do after an attempt: the documented retries, decided from values alone. Pure."""

from msgspec import Struct

from puna.webhooks.outcome import GONE, THROTTLING, Answered, Result, failure_of, is_success

_MINUTE_S, _HOUR_S = 60.0, 3600.0
DELAYS_S = (
    0.0,
    5.0,
    5 * _MINUTE_S,
    30 * _MINUTE_S,
    2 * _HOUR_S,
    5 * _HOUR_S,
    10 * _HOUR_S,
    14 * _HOUR_S,
    20 * _HOUR_S,
    24 * _HOUR_S,
)
"""How long after the one before each attempt comes; the first comes at once (Standard Webhooks 1.0.0)."""
JITTER = 0.1
"""The share of a delay by which it is shorter or longer, at random: retries of many do not come together."""
LONGEST_S = 24 * _HOUR_S
"""The longest wait that a receiver can ask for."""
THROTTLE_S = 30.0
"""How long a receiver that has too much to do gets no message at all, where it does not say how long."""


class Delivered(Struct, frozen=True):
    """The receiver has it."""


class Again(Struct, frozen=True):
    """It is tried again."""

    after_s: float


class GivenUp(Struct, frozen=True):
    """That was the last attempt."""

    failure: str


class Gone(Struct, frozen=True):
    """The receiver wants no message any more: neither this nor another one."""

    failure: str


Verdict = Delivered | Again | GivenUp | Gone


class Schedule(Struct, frozen=True):
    """When attempts come."""

    delays_s: tuple[float, ...] = DELAYS_S

    def decide(self, result: Result, *, attempts: int, chance: float) -> Verdict:
        """Return what to do after so many attempts, the last with this result; `chance` is random, 0 to below 1."""
        failure = failure_of(result)
        if failure is None:
            return Delivered()
        if isinstance(result, Answered) and result.status == GONE:
            return Gone(failure)
        if attempts >= len(self.delays_s):
            return GivenUp(f"{failure} That was the last of {attempts} attempts.")
        delay_s = self.delays_s[attempts] * (1 + JITTER * (2 * chance - 1))
        return Again(max(delay_s, _wanted_wait(result) * (1 + JITTER * chance)))


def pause_after(result: Result) -> float:
    """Return for how long the receiver gets no message at all; 0 where it asked for no rest."""
    if not isinstance(result, Answered) or is_success(result) or result.status == GONE:
        return 0.0
    return max(_wanted_wait(result), THROTTLE_S if _is_throttling_unsaid(result) else 0.0)


def _is_throttling_unsaid(result: Answered) -> bool:
    return result.status in THROTTLING and result.retry_after_s is None


def _wanted_wait(result: Result) -> float:
    wanted = result.retry_after_s if isinstance(result, Answered) else None
    return min(wanted or 0.0, LONGEST_S)
