"""Packing: nothing is cut, nothing is lost, and rows are full."""

import random

import pytest

from puna.domain.training import TokenSample
from puna.trainer.packing import Packing, choose_row_length, count_positions, has_answer, pack
from puna.trainer.rows import build_row


def sample(length: int, first: int = 1) -> TokenSample:
    """A sample that takes `length` positions."""
    return TokenSample(list(range(7, 8 + length)), ((first, length + 1),))


def pack_lengths(
    lengths: list[int], *, wanted: int | None = None, trained: int = 2048, seed: int = 1
) -> Packing:
    return pack([sample(length) for length in lengths], wanted=wanted, trained=trained, seed=seed)


def test_each_sample_lies_in_exactly_one_row_and_rows_do_not_overflow() -> None:
    rng = random.Random(4)
    lengths = [rng.randint(1, 256) for _ in range(500)]
    packing = pack_lengths(lengths)
    assert sorted(i for row in packing.rows for i in row) == list(range(500))
    assert all(sum(lengths[i] for i in row) <= packing.row_length for row in packing.rows)


def test_rows_are_nearly_full() -> None:
    rng = random.Random(5)
    lengths = [rng.randint(10, 90) for _ in range(1000)]
    packing = pack_lengths(lengths)
    assert sum(lengths) / (len(packing.rows) * packing.row_length) > 0.97


def test_a_fuller_row_is_preferred() -> None:
    assert len(pack_lengths([200, 150, 100, 56]).rows) == 2


def test_samples_that_fit_no_row_are_named() -> None:
    packing = pack_lengths([10, 257, 20], wanted=256)
    assert packing.too_long == (1,)
    assert sorted(packing.rows[0]) == [0, 2]


def test_samples_with_nothing_to_learn_are_named() -> None:
    mute = TokenSample([1, 2, 3], ())
    first_only = TokenSample([1, 2, 3], ((0, 1),))
    single = TokenSample([1], ((0, 1),))
    packing = pack([mute, sample(5), first_only, single], wanted=None, trained=2048, seed=1)
    assert packing.without_answer == (0, 2, 3)
    assert packing.rows == ((1,),)


@pytest.mark.parametrize(
    ("lengths", "trained", "expected"),
    [
        ([10, 20], 2048, 256),
        ([10, 257], 2048, 512),
        ([256], 2048, 256),
        ([700, 3000], 2048, 768),
        ([700, 900], 1000, 768),
        ([3000], 100_000, 256),
        ([], 2048, 256),
        ([100], 0, 256),
    ],
)
def test_the_row_length_is_chosen_from_the_samples(lengths: list[int], trained: int, expected: int) -> None:
    assert choose_row_length(lengths, wanted=None, trained=trained) == expected


def test_a_wanted_row_length_is_kept() -> None:
    assert choose_row_length([10], wanted=1024, trained=512) == 1024


def test_the_seed_alone_decides_the_order() -> None:
    lengths = [30] * 100
    assert pack_lengths(lengths, seed=3) == pack_lengths(lengths, seed=3)
    assert pack_lengths(lengths, seed=3) != pack_lengths(lengths, seed=4)


def test_a_hundred_thousand_samples_are_packed() -> None:
    rng = random.Random(6)
    lengths = [rng.randint(5, 400) for _ in range(100_000)]
    packing = pack(
        [TokenSample([1] * (length + 1), ((1, 2),)) for length in lengths], wanted=None, trained=2048, seed=1
    )
    assert sum(map(len, packing.rows)) == 100_000


def test_a_row_knows_what_follows_what_counts_and_who_is_whose_neighbour() -> None:
    first = TokenSample([10, 11, 12, 13], ((2, 4),))
    second = TokenSample([20, 21, 22], ((0, 3),))
    row = build_row([first, second], 8)
    assert row.tokens.tolist() == [10, 11, 12, 20, 21, 0, 0, 0]
    assert row.labels.tolist() == [11, 12, 13, 21, 22, 0, 0, 0]
    assert row.is_counted.tolist() == [False, True, True, True, True, False, False, False]
    assert row.samples.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert row.positions.tolist() == [0, 1, 2, 0, 1, 0, 1, 2]
    assert row.counted.tolist() == [1, 2, 3, 4]
    assert row.is_apart[0].tolist() == [False, False, False, True, True, True, True, True]


def test_several_answers_of_one_sample_count() -> None:
    conversation = TokenSample([1, 2, 3, 4, 5, 6], ((1, 2), (4, 6)))
    assert build_row([conversation], 6).is_counted.tolist() == [True, False, False, True, True, False]


def test_a_sample_takes_a_position_less_than_it_has_tokens() -> None:
    assert count_positions(TokenSample([1, 2, 3], ())) == 2
    assert count_positions(TokenSample([], ())) == 0
    assert has_answer(TokenSample([1, 2], ((1, 9),)))
