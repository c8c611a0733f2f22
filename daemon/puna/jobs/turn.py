"""Which model's tasks may start. Pure.

Jobs hold one model at a time: two jobs with two models would else drive each other's model out of memory with
every task. So models take turns, long ones, because a change may cost a load.
"""

from collections.abc import Sequence

from msgspec import Struct

TURN_S = 60.0
"""How long a model keeps its turn while jobs with other models wait."""


class Turn(Struct, frozen=True):
    """A model, and when its turn began, on a monotonic clock."""

    model: str
    began_s: float


def next_turn(turn: Turn | None, waiting: Sequence[str], *, in_flight: int, now_s: float) -> Turn | None:
    """Return the turn in which tasks may start now; None when none may.

    `waiting` are the models of tasks that wait, the one whose turn is next first. A model that has to hand over
    starts nothing more; the next one begins when what is `in_flight` has ended.
    """
    others = [model for model in waiting if turn is None or model != turn.model]
    if turn is not None and turn.model in waiting and (not others or now_s - turn.began_s < TURN_S):
        return turn
    return Turn(others[0], now_s) if others and not in_flight else None
