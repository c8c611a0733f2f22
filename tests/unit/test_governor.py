"""How many threads llama.cpp may use."""

from collections.abc import Iterator

import msgspec
import pytest

from puna.domain.hardware import Processor
from puna.worker.governor import (
    CpuMonitor,
    CpuTimes,
    ThreadGovernor,
    count_cores,
    most_threads,
    read_cpu_times,
)


def quiet_governor(*, cores: int) -> ThreadGovernor:
    """Return a governor of a machine that was quiet while the model was loaded."""
    governor = ThreadGovernor(cores=cores, logical_cores=cores)
    governor.observe(0.0)
    return governor


def observe(governor: ThreadGovernor, others: float, times: int) -> int:
    for _ in range(times):
        governor.observe(others)
    return governor.threads


def test_a_quiet_machine_gives_all_physical_cores() -> None:
    assert observe(ThreadGovernor(cores=4, logical_cores=8), 0.2, 10) == 4


def test_the_first_observation_counts_at_once() -> None:
    assert ThreadGovernor(cores=4, logical_cores=4).observe(2.0) == 2


def test_one_busy_process_takes_one_core_after_two_observations() -> None:
    governor = quiet_governor(cores=2)
    assert governor.observe(1.0) == 2
    assert governor.observe(1.0) == 1


def test_a_short_burst_changes_nothing() -> None:
    governor = quiet_governor(cores=2)
    governor.observe(1.0)
    governor.observe(0.0)
    assert governor.observe(1.0) == 2


def test_cores_come_back_slowly_and_one_at_a_time() -> None:
    governor = quiet_governor(cores=4)
    assert observe(governor, 3.0, 2) == 1
    assert observe(governor, 0.0, 7) == 1
    assert observe(governor, 0.0, 1) == 2
    assert observe(governor, 0.0, 8) == 3


def test_there_is_always_one_thread() -> None:
    assert observe(ThreadGovernor(cores=2, logical_cores=2), 9.0, 10) == 1


def test_idle_logical_cores_carry_the_others() -> None:
    assert observe(ThreadGovernor(cores=4, logical_cores=8), 3.0, 10) == 4


def test_slow_steps_give_up_a_thread_before_the_counters_tell() -> None:
    governor = ThreadGovernor(cores=2, logical_cores=2)
    assert [governor.observe_step(0.5, 0.01) for _ in range(3)] == [2, 2, 1]


def test_one_slow_step_is_nothing() -> None:
    governor = ThreadGovernor(cores=2, logical_cores=2)
    steps = [0.5, 0.01, 0.5, 0.01, 0.5, 0.01]
    assert [governor.observe_step(seconds, 0.01) for seconds in steps] == [2] * 6


def test_a_fixed_number_is_kept() -> None:
    governor = ThreadGovernor(cores=8, logical_cores=8, fixed=3)
    observe(governor, 7.0, 20)
    assert governor.observe_step(9.0, 0.01) == 3


def test_the_monitor_tells_what_others_use_without_this_process() -> None:
    readings: Iterator[CpuTimes] = iter([CpuTimes(100.0, 10.0, 0.0), CpuTimes(102.0, 11.5, 1.0)])
    monitor = CpuMonitor(lambda: next(readings), interval_s=0.25)
    assert monitor.poll(0.1) is None
    assert monitor.poll(1.0) == pytest.approx(0.5)


def test_the_real_counters_are_read() -> None:
    first, second = read_cpu_times(), read_cpu_times()
    assert second.total_s >= first.total_s > 0
    assert second.own_s >= first.own_s > 0
    physical, logical = count_cores()
    assert 1 <= physical <= logical


def test_slow_cores_and_those_that_a_container_denies_get_no_thread() -> None:
    def processor(**facts: float) -> Processor:
        values: dict[str, object] = {
            "name": "",
            "architecture": "",
            "physical_cores": 16,
            "logical_cores": 24,
        }
        return msgspec.convert(values | facts, Processor)

    assert most_threads(processor()) == 16
    assert most_threads(processor(performance_cores=8)) == 8
    assert most_threads(processor(usable_cores=2.5)) == 2
    assert most_threads(processor(usable_cores=0.5)) == 1
    assert most_threads(processor(performance_cores=8, usable_cores=12.0)) == 8
