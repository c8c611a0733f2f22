"""Samples side by side in rows of one length, none cut. Pure."""

import bisect
import random
from collections.abc import Sequence

from msgspec import Struct

from puna.domain.training import LONGEST_ROW, ROW_UNIT, TokenSample


class Packing(Struct, frozen=True):
    """Which samples lie in which row; numbers are indices of the samples as they were given."""

    row_length: int
    rows: tuple[tuple[int, ...], ...]
    too_long: tuple[int, ...]
    without_answer: tuple[int, ...]


def count_positions(sample: TokenSample) -> int:
    """Return how many positions of a row a sample takes: each predicts the token behind it."""
    return max(len(sample.tokens) - 1, 0)


def has_answer(sample: TokenSample) -> bool:
    """Return whether there is a token to be learnt."""
    return any(max(first, 1) < min(end, len(sample.tokens)) for first, end in sample.answers)


def choose_row_length(lengths: Sequence[int], *, wanted: int | None, trained: int) -> int:
    """Return the shortest row that holds the longest sample which a row may hold at all.

    `trained` is the length that the model was trained for. A wanted length is kept.
    """
    if wanted is not None:
        return wanted
    most = max(ROW_UNIT, min(trained or LONGEST_ROW, LONGEST_ROW) // ROW_UNIT * ROW_UNIT)
    longest = max((length for length in lengths if length <= most), default=ROW_UNIT)
    return -(-longest // ROW_UNIT) * ROW_UNIT


def pack(samples: Sequence[TokenSample], *, wanted: int | None, trained: int, seed: int) -> Packing:
    """Lay the samples out: the longest first, each in the fullest row that still has room for it.

    Samples of the same length are mixed by the seed.
    """
    empty = tuple(i for i, sample in enumerate(samples) if not has_answer(sample))
    useful = sorted(set(range(len(samples))) - set(empty))
    lengths = {i: count_positions(samples[i]) for i in useful}
    row_length = choose_row_length(list(lengths.values()), wanted=wanted, trained=trained)
    too_long = tuple(i for i in useful if lengths[i] > row_length)
    fitting = [i for i in useful if lengths[i] <= row_length]
    random.Random(f"packing/{seed}").shuffle(fitting)  # noqa: S311 - an order, no secret
    fitting.sort(key=lengths.__getitem__, reverse=True)
    return Packing(row_length, _fill(fitting, lengths, row_length), too_long, empty)


def _fill(order: Sequence[int], lengths: dict[int, int], row_length: int) -> tuple[tuple[int, ...], ...]:
    rows: list[list[int]] = []
    rooms: list[int] = []
    """All different free lengths of rows, ascending."""
    rows_with: dict[int, list[int]] = {}
    for i in order:
        place = bisect.bisect_left(rooms, lengths[i])
        if place == len(rooms):
            room, row = row_length, len(rows)
            rows.append([])
        else:
            room = rooms[place]
            row = rows_with[room].pop()
            if not rows_with[room]:
                del rows_with[room], rooms[place]
        rows[row].append(i)
        left = room - lengths[i]
        if left not in rows_with:
            bisect.insort(rooms, left)
        rows_with.setdefault(left, []).append(row)
    return tuple(tuple(row) for row in rows)
