"""How many tasks may run, for whom a model works, and which jobs are taken: the pure rules."""

import math

import pytest

from fakes.memory_jobs import order_of
from puna.errors import InvalidRequestError, OverloadedError
from puna.jobs.admission import JobLimits, check_room, check_size
from puna.jobs.pacing import QUIET_S, Load, tasks_allowed
from puna.jobs.turn import TURN_S, Turn, next_turn

LIMITS = JobLimits(tasks=3, characters=10, open_jobs_of_organisation=2, open_jobs=4)


def allowed(slots: int, interactive: int, *, share: float = 0.25, quiet_s: float = math.inf) -> int:
    return tasks_allowed(Load(slots=slots, interactive=interactive, quiet_s=quiet_s), share)


def test_a_job_alone_takes_all_slots_but_one() -> None:
    assert [allowed(slots, 0) for slots in (2, 8, 16)] == [1, 7, 15]


def test_beside_people_a_job_takes_its_share() -> None:
    assert [allowed(8, interactive) for interactive in (1, 2, 5)] == [2, 2, 2]
    assert allowed(8, 1, share=0.5) == 4
    assert allowed(8, 1, share=1.0) == 6


def test_the_more_people_the_fewer_tasks_and_never_none() -> None:
    assert [allowed(8, interactive, share=1.0) for interactive in range(10)] == [7, 6, 5, 4, 3, 2, 1, 1, 1, 1]
    assert allowed(8, 300, share=0.0) == 1
    assert allowed(1, 0) == 1


def test_a_person_who_was_there_a_moment_ago_still_counts() -> None:
    assert allowed(8, 0, quiet_s=QUIET_S - 1) == 2
    assert allowed(8, 0, quiet_s=QUIET_S) == 7


@pytest.mark.parametrize("slots", range(1, 17))
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_one_slot_stays_free_wherever_there_are_two(slots: int, share: float) -> None:
    for interactive in range(20):
        tasks = allowed(slots, interactive, share=share)
        assert tasks >= 1
        assert tasks == 1 or tasks + interactive + 1 <= slots


def test_the_first_model_begins_and_keeps_its_turn_alone() -> None:
    turn = next_turn(None, ["m"], in_flight=0, now_s=5)
    assert turn == Turn("m", 5)
    assert next_turn(turn, ["m"], in_flight=3, now_s=5 + 10 * TURN_S) == turn


def test_a_model_hands_over_after_its_turn_once_its_tasks_have_ended() -> None:
    turn = Turn("m", 0)
    assert next_turn(turn, ["n", "m"], in_flight=3, now_s=TURN_S - 1) == turn
    assert next_turn(turn, ["n", "m"], in_flight=3, now_s=TURN_S) is None
    assert next_turn(turn, ["n", "m"], in_flight=0, now_s=TURN_S) == Turn("n", TURN_S)


def test_a_model_without_tasks_hands_over_early() -> None:
    assert next_turn(Turn("m", 0), ["n"], in_flight=1, now_s=1) is None
    assert next_turn(Turn("m", 0), ["n"], in_flight=0, now_s=1) == Turn("n", 1)
    assert next_turn(Turn("m", 0), [], in_flight=0, now_s=1) is None


def test_a_job_that_is_too_large_is_told_both_numbers() -> None:
    check_size(order_of("aaa", "bbb", "cccc"), LIMITS)
    with pytest.raises(InvalidRequestError, match="4 conversations; at most 3"):
        check_size(order_of("a", "b", "c", "d"), LIMITS)
    with pytest.raises(InvalidRequestError, match="11 characters; at most 10"):
        check_size(order_of("aaaaaa", "bbbbb"), LIMITS)


def test_an_organisation_with_many_open_jobs_waits_and_the_others_do_not() -> None:
    check_room("b", ["a", "a"], LIMITS)
    with pytest.raises(OverloadedError, match="has 2 open jobs") as caught:
        check_room("a", ["a", "a"], LIMITS)
    assert caught.value.retry_after_s
    with pytest.raises(OverloadedError, match="4 jobs are open"):
        check_room("c", ["a", "a", "b", "b"], LIMITS)
