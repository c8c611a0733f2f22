"""What is done after an attempt: the documented times, and who is asked to wait."""

import pytest

from puna.webhooks.outcome import Answered, Result, Unanswered, failure_of, is_success, parse_retry_after
from puna.webhooks.schedule import (
    DELAYS_S,
    JITTER,
    LONGEST_S,
    THROTTLE_S,
    Again,
    Delivered,
    GivenUp,
    Gone,
    Schedule,
    pause_after,
)

NOW_S = 1_767_323_045.0
SILENCE = Unanswered("No answer came within 20 seconds.")


def decide(result: Result, *, attempts: int = 1, chance: float = 0.5) -> object:
    return Schedule().decide(result, attempts=attempts, chance=chance)


def test_the_delays_are_those_of_the_document() -> None:
    minute, hour = 60, 3600
    assert (
        0, 5, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour,
    ) == DELAYS_S  # fmt: skip


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_only_2xx_is_delivered(status: int) -> None:
    assert is_success(Answered(status=status))
    assert decide(Answered(status=status)) == Delivered()


@pytest.mark.parametrize("status", [101, 300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 502, 503, 504])
def test_everything_else_is_tried_again(status: int) -> None:
    assert not is_success(Answered(status=status))
    assert isinstance(decide(Answered(status=status)), Again)


def test_each_attempt_waits_for_its_own_time() -> None:
    waits = [decide(SILENCE, attempts=attempts) for attempts in range(1, 10)]
    assert waits == [Again(delay_s) for delay_s in DELAYS_S[1:]]


def test_the_tenth_failure_is_the_last() -> None:
    assert decide(SILENCE, attempts=10) == GivenUp(
        "No answer came within 20 seconds. That was the last of 10 attempts."
    )
    assert decide(Answered(status=204), attempts=10) == Delivered()


def test_jitter_moves_a_time_by_a_tenth_at_most() -> None:
    early, late = decide(SILENCE, attempts=2, chance=0.0), decide(SILENCE, attempts=2, chance=0.999_999)
    assert isinstance(early, Again)
    assert isinstance(late, Again)
    assert early.after_s == pytest.approx(300 * (1 - JITTER))
    assert late.after_s == pytest.approx(300 * (1 + JITTER), rel=1e-3)


@pytest.mark.parametrize("attempts", [1, 5, 10])
def test_who_is_gone_is_never_asked_again(attempts: int) -> None:
    gone = decide(Answered(status=410, retry_after_s=60), attempts=attempts)
    assert gone == Gone("The receiver answered 410: it wants no more messages.")
    assert pause_after(Answered(status=410, retry_after_s=60)) == 0


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_waited_for(status: int) -> None:
    answer = Answered(status=status, retry_after_s=120)
    later = decide(answer, chance=0.5)
    assert isinstance(later, Again)
    assert 120 <= later.after_s <= 120 * (1 + JITTER)
    assert pause_after(answer) == 120


def test_a_short_retry_after_does_not_hurry_the_schedule() -> None:
    assert decide(Answered(status=429, retry_after_s=1), attempts=3) == Again(1800)


def test_nobody_can_ask_for_a_year() -> None:
    answer = Answered(status=429, retry_after_s=1e9)
    later = decide(answer, chance=0.0)
    assert later == Again(LONGEST_S)
    assert pause_after(answer) == LONGEST_S


@pytest.mark.parametrize(
    ("result", "pause_s"),
    [
        (Answered(status=429), THROTTLE_S),
        (Answered(status=502), THROTTLE_S),
        (Answered(status=504), THROTTLE_S),
        (Answered(status=429, retry_after_s=2), 2),
        (Answered(status=503), 0),
        (Answered(status=500), 0),
        (Answered(status=200, retry_after_s=60), 0),
        (SILENCE, 0),
    ],
)
def test_a_throttling_receiver_gets_a_rest(result: Result, pause_s: float) -> None:
    assert pause_after(result) == pause_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 03:04:00 GMT", 0),
        ("Fri, 02 Jan 2026 03:05:05", 60),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("Fri, 99 Jan 2026 03:05:05 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, now_s=NOW_S) == seconds


def test_a_failure_is_a_sentence() -> None:
    assert failure_of(Answered(status=503)) == "The receiver answered 503."
    assert failure_of(Answered(status=302)) == "The receiver answered 302, and redirects are not followed."
    assert failure_of(SILENCE) == SILENCE.reason
    assert failure_of(Answered(status=200)) is None
