"""The table of what a step costs."""

import pytest

from puna.worker.cost import CostTable


def table(**points: float) -> CostTable:
    cost = CostTable()
    for name, seconds in points.items():
        cost.observe(int(name.removeprefix("k")), seconds)
    return cost


def test_an_empty_table_knows_nothing() -> None:
    assert CostTable().estimate(8) is None


def test_between_two_observations_it_interpolates() -> None:
    assert table(k1=0.010, k4=0.016).estimate(2) == pytest.approx(0.012)


def test_beyond_the_last_observation_it_grows_with_the_tokens() -> None:
    assert table(k1=0.010, k8=0.020).estimate(80) == pytest.approx(0.200)


def test_it_follows_a_change_of_load() -> None:
    cost = table(k1=0.010)
    for _ in range(30):
        cost.observe(1, 0.100)
    assert cost.estimate(1) == pytest.approx(0.1, rel=0.01)


def test_the_chunk_is_the_largest_that_fits_the_budget() -> None:
    cost = table(k1=0.01, k16=0.02, k64=0.05, k256=0.2)
    assert cost.tokens_within(0.09, minimum=16, maximum=512) == 64
    assert cost.tokens_within(0.001, minimum=16, maximum=512) == 16
    assert cost.tokens_within(10.0, minimum=16, maximum=512) == 512
