"""Which message goes out next, and whom nobody waits for."""

import math
import random

from puna.webhooks.backlog import Backlog, Limits, Pending


def pending(id_: int, receiver: str = "a", due_s: float = 0.0, attempts: int = 0) -> Pending:
    return Pending(id=id_, webhook_id=f"wh_{receiver}", receiver=receiver, due_s=due_s, attempts=attempts)


def backlog_of(*entries: Pending, limits: Limits | None = None) -> Backlog:
    backlog = Backlog(limits or Limits())
    for entry in entries:
        backlog.add(entry)
    return backlog


def take_all(backlog: Backlog, now_s: float) -> list[int]:
    taken = []
    while (one := backlog.take(now_s)) is not None:
        taken.append(one.id)
    return taken


def test_what_is_due_for_longest_goes_first() -> None:
    backlog = backlog_of(pending(1, "a", 30), pending(2, "b", 10), pending(3, "c", 20), pending(4, "d", 99))
    assert backlog.next_s() == 10
    assert take_all(backlog, 50) == [2, 3, 1]
    assert backlog.next_s() == 99
    assert take_all(backlog, 98.9) == []


def test_a_receiver_gets_so_many_at_once_and_others_their_own() -> None:
    backlog = backlog_of(*(pending(id_, "a") for id_ in range(5)), pending(9, "b", 5))
    assert take_all(backlog, 10) == [0, 1, 9]
    assert backlog.next_s() == math.inf
    backlog.land(0, is_delivered=True)
    assert take_all(backlog, 10) == [2]


def test_all_together_have_a_limit() -> None:
    backlog = backlog_of(*(pending(id_, f"r{id_}") for id_ in range(20)))
    assert len(take_all(backlog, 0)) == 8
    assert backlog.next_s() == math.inf
    backlog.land(3, is_delivered=True)
    assert len(take_all(backlog, 0)) == 1


def test_receivers_in_trouble_leave_half_of_the_places_to_the_others() -> None:
    troubled = [pending(id_, f"bad{id_}", attempts=1) for id_ in range(10)]
    sound = [pending(100 + id_, f"good{id_}", due_s=1) for id_ in range(10)]
    backlog = backlog_of(*troubled, *sound)
    assert take_all(backlog, 5) == [0, 1, 2, 3, 100, 101, 102, 103]
    backlog.land(0, is_delivered=False)
    assert take_all(backlog, 5) == [4]


def test_who_failed_gets_one_at_a_time_until_it_takes_one() -> None:
    backlog = backlog_of(*(pending(id_) for id_ in range(5)))
    assert take_all(backlog, 0) == [0, 1]
    backlog.land(0, is_delivered=False)
    backlog.land(1, is_delivered=False)
    assert take_all(backlog, 0) == [2]
    backlog.land(2, is_delivered=True)
    assert take_all(backlog, 0) == [3, 4]


def test_a_paused_receiver_gets_nothing_before_its_time() -> None:
    backlog = backlog_of(pending(1), pending(2, due_s=5), pending(3, "b", 7))
    backlog.pause("a", 100)
    backlog.pause("a", 50)
    assert take_all(backlog, 99) == [3]
    assert backlog.next_s() == 100
    assert take_all(backlog, 100) == [1, 2]


def test_what_is_forgotten_is_never_taken() -> None:
    backlog = backlog_of(pending(1), pending(2), pending(3), pending(4, "b"))
    assert take_all(backlog, 0) == [1, 2, 4]
    assert backlog.of_webhook("wh_a") == ([3], [1, 2])
    backlog.forget([3, 1, 77])
    backlog.land(1, is_delivered=None)
    assert take_all(backlog, 0) == []
    assert (backlog.waiting, backlog.in_flight) == (0, 2)


def test_a_delivery_is_queued_once() -> None:
    backlog = backlog_of(pending(1), pending(1))
    assert take_all(backlog, 0) == [1]
    backlog.add(pending(1))
    assert backlog.waiting == 0


def test_tidying_keeps_what_runs_waits_or_rests() -> None:
    backlog = backlog_of(pending(1, "busy"), pending(2, "waiting", 500))
    assert take_all(backlog, 0) == [1]
    backlog.pause("resting", 100)
    backlog.tidy(50)
    backlog.add(pending(3, "resting"))
    assert take_all(backlog, 99) == []
    backlog.land(1, is_delivered=True)
    assert take_all(backlog, 500) == [3, 2]


def test_tidying_forgets_who_rested() -> None:
    backlog = backlog_of()
    backlog.pause("rested", 100)
    backlog.tidy(100)
    backlog.add(pending(1, "rested"))
    assert take_all(backlog, 99) == [1]


def test_any_history_keeps_the_limits_and_loses_nothing() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        limits = Limits(in_all=5, each=2)
        backlog, done = Backlog(limits), set[int]()
        under_way: dict[int, Pending] = {}
        now_s, next_id = 0.0, 0
        for _ in range(300):
            now_s += chance.random()
            match chance.randrange(3):
                case 0:
                    backlog.add(pending(next_id, f"r{chance.randrange(6)}", now_s + chance.random() * 5))
                    next_id += 1
                case 1 if under_way:
                    landed = under_way.pop(chance.choice(list(under_way)))
                    is_delivered = chance.random() < 0.5
                    backlog.land(landed.id, is_delivered=is_delivered)
                    if is_delivered:
                        done.add(landed.id)
                    else:
                        backlog.add(pending(landed.id, landed.receiver, now_s + 3, landed.attempts + 1))
                case _ if (taken := backlog.take(now_s)) is not None:
                    assert taken.due_s <= now_s
                    under_way[taken.id] = taken
            assert len(under_way) == backlog.in_flight <= limits.in_all
            receivers = [each.receiver for each in under_way.values()]
            assert all(receivers.count(each) <= limits.each for each in receivers)
            assert len(done) + len(under_way) + backlog.waiting == next_id
