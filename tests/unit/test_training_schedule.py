"""Learning rates and the order of rows."""

import pytest

from puna.domain.training import TrainingSettings
from puna.trainer.schedule import (
    DataOrder,
    choose_epochs,
    choose_learning_rate,
    count_steps,
    learning_rate,
)

SETTINGS = TrainingSettings(warm_up=0.1, final_rate=0.1)


def rates(steps: int, settings: TrainingSettings = SETTINGS) -> list[float]:
    return [learning_rate(step, steps, 1e-3, settings) for step in range(1, steps + 1)]


def test_the_rate_rises_in_a_straight_line_and_falls_to_its_final_share() -> None:
    found = rates(100)
    assert found[:10] == pytest.approx([1e-4 * i for i in range(1, 11)])
    assert found[9] == max(found) == pytest.approx(1e-3)
    assert found[9:] == sorted(found[9:], reverse=True)
    assert found[54] == pytest.approx(1e-3 * (0.1 + 0.9 / 2))
    assert found[-1] == pytest.approx(1e-4)


def test_no_rate_is_zero_because_llama_cpp_aborts_at_it() -> None:
    for steps in (1, 2, 3, 50):
        for settings in (
            TrainingSettings(warm_up=0.0, final_rate=0.0),
            TrainingSettings(warm_up=0.9, final_rate=0.0),
        ):
            assert min(rates(steps, settings)) > 0
    assert learning_rate(1, 10**9, 1e-9, TrainingSettings(warm_up=0.9)) >= 1e-12


def test_without_warm_up_the_first_step_is_near_the_peak() -> None:
    assert rates(50, TrainingSettings(warm_up=0.0))[0] > 0.99e-3


@pytest.mark.parametrize(
    ("width", "rate"),
    [(64, 1e-3), (256, 1e-3), (1024, 5e-4), (2048, 3.535e-4), (4096, 2.5e-4), (10**9, 1e-4)],
)
def test_wider_models_learn_at_a_lower_rate(width: int, rate: float) -> None:
    assert choose_learning_rate(width) == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(("rows", "epochs"), [(1, 20), (3, 20), (11, 6), (20, 3), (21, 3), (5000, 3)])
def test_few_rows_are_passed_over_more_often(rows: int, epochs: float) -> None:
    assert choose_epochs(rows) == epochs


@pytest.mark.parametrize(("rows", "epochs", "steps"), [(10, 3, 30), (10, 0.5, 5), (3, 0.5, 2), (1, 0.1, 1)])
def test_steps_are_rows_times_epochs(rows: int, epochs: float, steps: int) -> None:
    assert count_steps(rows, epochs) == steps


def test_every_pass_takes_each_row_once_in_an_order_of_its_own() -> None:
    order = DataOrder(20, seed=1)
    first, second = ([order.row_of(step) for step in range(start, start + 20)] for start in (1, 21))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_the_order_is_the_same_from_wherever_it_is_entered() -> None:
    whole = DataOrder(7, seed=5)
    rows = [whole.row_of(step) for step in range(1, 30)]
    assert [DataOrder(7, seed=5).row_of(step) for step in range(1, 30)] == rows
    assert [DataOrder(7, seed=6).row_of(step) for step in range(1, 30)] != rows
