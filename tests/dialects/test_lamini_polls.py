"""Results that are fetched later: whose they are, and how many, how large and how old they may get."""

import pytest

from puna.api.lamini import polls as limits
from puna.api.lamini.polls import MAX_AGE_S, MAX_POLLS_OF_ONE, STREAM_PATIENCE_S, Poll, Polls
from puna.domain.generation import Finished, FinishReason, Usage
from puna.errors import NotFoundError, OverloadedError

END = Finished(FinishReason.STOP, Usage(1, 1))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def polls(clock: Clock) -> Polls:
    return Polls(clock)


def add(polls: Polls, owner: str = "a", *, is_over: bool = True, text: str = "x") -> Poll:
    poll = polls.add(owner, 1, is_stream=False)
    poll.progress.add_text(0, text)
    if is_over:
        poll.progress.finish(0, END)
    return poll


def test_a_result_is_its_owner_s(polls: Polls) -> None:
    poll = add(polls)
    assert polls.find(poll.id, "a") is poll
    for poll_id, owner in ((poll.id, "b"), ("nope", "a"), ("", "a")):
        with pytest.raises(NotFoundError, match="no result with this id"):
            polls.find(poll_id, owner)


def test_ids_cannot_be_guessed(polls: Polls) -> None:
    ids = {add(polls).id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(poll_id) == 32 for poll_id in ids)


def test_a_result_goes_when_nobody_asked_for_an_hour(polls: Polls, clock: Clock) -> None:
    poll = add(polls)
    clock.now = MAX_AGE_S
    assert polls.find(poll.id, "a") is poll
    clock.now += MAX_AGE_S + 1
    with pytest.raises(NotFoundError):
        polls.find(poll.id, "a")


def test_what_still_runs_does_not_grow_old(polls: Polls, clock: Clock) -> None:
    poll = add(polls, is_over=False)
    clock.now = 10 * MAX_AGE_S
    assert polls.find(poll.id, "a") is poll


def test_the_oldest_result_of_an_owner_makes_room_for_the_next(polls: Polls, clock: Clock) -> None:
    other = add(polls, "b")
    clock.now = 1
    first, *_, last = [add(polls) for _ in range(MAX_POLLS_OF_ONE + 1)]
    assert len(polls) == MAX_POLLS_OF_ONE + 1
    assert polls.find(last.id, "a") is last
    assert polls.find(other.id, "b") is other
    with pytest.raises(NotFoundError):
        polls.find(first.id, "a")


def test_nothing_that_runs_makes_room(polls: Polls) -> None:
    running = [add(polls, is_over=False) for _ in range(MAX_POLLS_OF_ONE)]
    with pytest.raises(OverloadedError) as refused:
        add(polls)
    assert refused.value.retry_after_s
    assert all(polls.find(poll.id, "a") is poll for poll in running)
    add(polls, "b")


def test_there_is_a_bound_for_all_owners_together(polls: Polls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_POLLS", 3)
    for owner in "abcdef":
        add(polls, owner)
    assert len(polls) == 3


def test_there_is_a_bound_for_the_size(polls: Polls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 1000)
    small = add(polls, "b")
    add(polls, text="x" * 1000)
    latest = add(polls)
    assert len(polls) == 1
    assert polls.find(latest.id, "a") is latest
    with pytest.raises(NotFoundError):
        polls.find(small.id, "b")


def test_a_stream_that_nobody_asks_for_is_abandoned(polls: Polls, clock: Clock) -> None:
    stream, batch = polls.add("a", 1, is_stream=True), polls.add("a", 1, is_stream=False)
    clock.now = STREAM_PATIENCE_S
    assert not polls.is_abandoned(stream)
    clock.now += 1
    assert polls.is_abandoned(stream)
    assert not polls.is_abandoned(batch)
    polls.find(stream.id, "a")
    assert not polls.is_abandoned(stream)


def test_a_request_that_is_sent_again_finds_its_result(polls: Polls) -> None:
    poll = polls.add("a", 1, is_stream=True, fingerprint=b"request")
    assert polls.find_again(b"request", "a") is poll
    assert polls.find_again(b"request", "b") is None
    assert polls.find_again(b"other", "a") is None
    polls.forget_request(poll)
    assert polls.find_again(b"request", "a") is None
    assert polls.find(poll.id, "a") is poll


def test_a_request_that_is_sent_again_after_its_result_has_gone_begins_anew(
    polls: Polls, clock: Clock
) -> None:
    poll = polls.add("a", 1, is_stream=True, fingerprint=b"request")
    poll.progress.finish(0, END)
    clock.now = MAX_AGE_S + 1
    assert polls.find_again(b"request", "a") is None
    assert len(polls) == 0
