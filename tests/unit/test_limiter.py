"""Limits: what passes never exceeds the rates, whatever the history, and nobody is refused without need."""

import random
from collections.abc import Callable, Mapping

import pytest

from puna.errors import RateLimitedError
from puna.limits import limiter
from puna.limits.limiter import Limiter, UsageCount
from puna.limits.meters import Meter, TokenBucket, Window
from puna.limits.rates import Rate, RateRules, parse_rates

NOON = 1_800_000_000.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def wait_for(limits: Limiter, dialect: str = "locallab", client: str = "a") -> float:
    """Return how long a request has to wait; one that passes is counted."""
    try:
        limits.take(dialect, client)
    except RateLimitedError as refused:
        return refused.retry_after_s or float("nan")
    return 0.0


def passes(limits: Limiter, dialect: str = "locallab", client: str = "a") -> bool:
    return wait_for(limits, dialect, client) == 0


def test_locallab_passes_ten_at_once_and_then_one_a_second() -> None:
    clock = Clock()
    limits = Limiter(parse_rates("documented"), clock)
    assert sum(passes(limits) for _ in range(50)) == 10
    for _ in range(100):
        clock.now += 1.0
        assert passes(limits)
        assert not passes(limits)
    clock.now += 5.5
    assert sum(passes(limits) for _ in range(50)) == 5


def test_aitextgen_passes_100_in_the_minute_that_the_first_begins_and_5000_in_the_day() -> None:
    clock = Clock()
    limits = Limiter(parse_rates("documented"), clock)
    for minute in range(50):
        clock.now = NOON + 60 * minute
        assert sum(passes(limits, "aitextgen") for _ in range(120)) == 100, minute
        if minute < 49:
            clock.now += 20
            assert wait_for(limits, "aitextgen") == pytest.approx(40)
    assert wait_for(limits, "aitextgen") == pytest.approx(86_400 - 49 * 60)
    clock.now = NOON + 86_400
    assert passes(limits, "aitextgen")


def test_dialects_and_clients_are_counted_apart() -> None:
    limits = Limiter(parse_rates("off locallab=1/min openai=1/min"), Clock())
    assert [passes(limits, d, c) for d in ("locallab", "openai") for c in ("a", "b", "a")] == [
        *(True, True, False),
        *(True, True, False),
    ]


def test_a_dialect_without_a_rate_is_never_refused_and_not_remembered() -> None:
    limits = Limiter(parse_rates("locallab=off"), Clock())
    assert all(passes(limits, dialect) for dialect in ("locallab", "openai") for _ in range(1000))
    assert limits.client_count == 0


def test_a_refusal_says_the_rate_and_when_to_come_again() -> None:
    limits = Limiter(parse_rates("documented"), Clock())
    for _ in range(10):
        limits.take("locallab", "a")
    with pytest.raises(RateLimitedError, match=r"locallab allows 60/min:10; try again in 1 s.*rate_limits"):
        limits.take("locallab", "a")


def test_a_request_that_one_rate_refuses_counts_for_no_other() -> None:
    clock = Clock()
    limits = Limiter(parse_rates("off locallab=2/min+5/day"), clock)
    assert sum(passes(limits) for _ in range(100)) == 2
    clock.now += 60
    assert sum(passes(limits) for _ in range(100)) == 2
    clock.now += 60
    assert sum(passes(limits) for _ in range(100)) == 1


RATES: Mapping[str, Callable[[random.Random], tuple[Rate, ...]]] = {
    "bucket": lambda chance: (Rate(chance.randint(1, 20), 60, burst=chance.randint(1, 15)),),
    "window": lambda chance: (Rate(chance.randint(1, 20), chance.choice([1, 60, 3600])),),
    "both": lambda chance: (
        Rate(chance.randint(1, 20), 1, burst=chance.randint(1, 5)),
        Rate(chance.randint(1, 40), 60),
    ),
}


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize("seed", range(15))
def test_any_history_keeps_the_rates_and_refuses_nobody_without_need(kind: str, seed: int) -> None:
    chance = random.Random(f"{kind} {seed}")
    rates = RATES[kind](chance)
    clock, clients = Clock(), ["a", "b", "c"]
    limits = Limiter({"locallab": rates}, clock)
    models = {client: [ReferenceMeter(rate) for rate in rates] for client in clients}
    for _ in range(400):
        clock.now += chance.choice(
            [0, 0, 0, chance.uniform(0, 0.2), chance.uniform(0, 5), chance.uniform(0, 200)]
        )
        client = chance.choice(clients)
        wait_s = wait_for(limits, client=client)
        allowed = all(meter.allows(clock.now) for meter in models[client])
        assert (wait_s == 0) == allowed
        if not allowed:
            # It is enough to wait as long as was told, and not enough to wait less.
            assert wait_s < 0.1 or not all(meter.allows(clock.now + 0.9 * wait_s) for meter in models[client])
            clock.now += wait_s
            assert passes(limits, client=client)
        for meter in models[client]:
            meter.passed.append(clock.now)
    for meters in models.values():
        for meter in meters:
            meter.check_invariant()


class ReferenceMeter:
    """The rate as its words say it: keeps every request that passed, and counts."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.passed: list[float] = []

    def allows(self, now: float) -> bool:
        if self.rate.burst is None:
            return self._in_window(now) < self.rate.count
        return self._tokens(now) >= 1 - 1e-4

    def check_invariant(self) -> None:
        """In no time span passed more than the rate allows there."""
        rate = self.rate
        # A window may be used up at its end, and the next one at its beginning.
        at_once = 2 * rate.count if rate.burst is None else rate.burst
        for i, first in enumerate(self.passed):
            for k, last in enumerate(self.passed[i:], start=1):
                assert k <= at_once + (last - first) * rate.count / rate.period_s + 1e-3

    def _in_window(self, now: float) -> int:
        began, count = float("-inf"), 0
        for at in [*self.passed, now]:
            if at - began >= self.rate.period_s - 1e-5:
                began, count = at, 0
            count += 1
        return count - 1

    def _tokens(self, now: float) -> float:
        assert self.rate.burst is not None
        tokens, at = float(self.rate.burst), float("-inf")
        for moment in [*self.passed, now]:
            refilled = tokens + (moment - at) * self.rate.count / self.rate.period_s
            tokens, at = min(refilled, self.rate.burst) - 1, moment
        return tokens + 1


@pytest.mark.parametrize("seed", range(4))
def test_forgetting_idle_clients_changes_no_answer(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    rules: RateRules = {"locallab": (Rate(6, 60, burst=2), Rate(8, 300))}
    clock = Clock()
    forgetful, faithful = Limiter(rules, clock), Limiter(rules, clock)
    monkeypatch.setattr(faithful, "_sweep", lambda _: None)
    for _ in range(3000):
        clock.now += chance.expovariate(1 / 3)
        client = f"client {chance.randint(0, 200)}"
        assert wait_for(forgetful, client=client) == wait_for(faithful, client=client)
    assert forgetful.client_count < faithful.client_count == 201


def test_memory_is_bounded_and_the_longest_idle_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "CLIENT_LIMIT", 100)
    limits = Limiter(parse_rates("off locallab=1/day"), Clock())
    for number in range(1000):
        assert passes(limits, client=f"client {number}")
        assert number < 1 or not passes(limits, client="client 0") or number == 0
        assert limits.client_count <= 100
    assert not passes(limits, client="client 999")
    assert passes(limits, client="client 500")


def test_everything_is_forgotten_in_the_end() -> None:
    clock = Clock()
    limits = Limiter(parse_rates("documented"), clock)
    for number in range(50):
        limits.take("locallab", f"client {number}")
    clock.now += 120
    limits.take("locallab", "another")
    assert limits.client_count == 1


@pytest.mark.parametrize("rate", [Rate(5, 60, burst=2), Rate(5, 60)])
def test_a_clock_that_is_set_back_locks_nobody_out_for_long(rate: Rate) -> None:
    meter: Meter = TokenBucket(rate) if rate.burst else Window(rate)
    while meter.wait_s(NOON) == 0:
        meter.take(NOON)
    earlier = NOON - 86_400 * 365
    wait_s = meter.wait_s(earlier)
    assert 0 < wait_s <= 60
    assert meter.wait_s(earlier + wait_s) == 0


def test_counts_of_a_day_go_on_after_a_restart() -> None:
    clock = Clock()
    first = Limiter(parse_rates("off aitextgen=2/min+3/day"), clock)
    assert [passes(first, "aitextgen", "k") for _ in range(3)] == [True, True, False]
    changes = first.take_changes()
    assert changes == [UsageCount("aitextgen", "k", 86_400, NOON, 2)]
    assert first.take_changes() == []

    clock.now += 600
    second = Limiter(parse_rates("off aitextgen=2/min+3/day"), clock)
    second.restore(changes)
    assert [passes(second, "aitextgen", "k") for _ in range(2)] == [True, False]
    assert wait_for(second, "aitextgen", "k") == pytest.approx(86_400 - 600)
    assert passes(second, "aitextgen", "other")


def test_counts_that_no_rate_wants_any_more_are_dropped() -> None:
    limits = Limiter(parse_rates("off aitextgen=5/hour"), Clock())
    limits.restore(
        [UsageCount("aitextgen", "k", 86_400, NOON, 999), UsageCount("lamini", "k", 3_600, NOON, 999)]
    )
    assert sum(passes(limits, "aitextgen", "k") for _ in range(10)) == 5
    assert passes(limits, "lamini", "k")


def test_short_windows_are_not_written() -> None:
    limits = Limiter(parse_rates("off locallab=60/min:10 lamini=5/min"), Clock())
    assert passes(limits)
    assert passes(limits, "lamini")
    assert limits.take_changes() == []
