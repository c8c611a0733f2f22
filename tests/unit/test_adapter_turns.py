"""Whose turn it is among the adapters of one worker, and which adapters stay in memory."""

from pathlib import Path
from typing import cast

import pytest

from puna.errors import InvalidRequestError
from puna.llama.adapter import Adapter
from puna.llama.model import LlamaError
from puna.worker.adapters import AdapterShelf, Turns


def test_who_is_alone_goes_on() -> None:
    turns = Turns()
    assert [turns.choose(["a", "a"], step * 0.03) for step in range(50)] == ["a"] * 50


def test_several_take_turns_of_a_bounded_time() -> None:
    turns = Turns()
    chosen = [turns.choose(["a", None, "b"], step * 0.01) for step in range(90)]
    assert all(27 <= chosen.count(each) <= 33 for each in ("a", None, "b"))
    assert max(len(run) for run in _runs(chosen)) <= 12


def test_a_newcomer_gets_the_next_turn() -> None:
    turns = Turns()
    for step in range(30):
        turns.choose(["a", "b"], step * 0.01)
    assert "c" in [turns.choose(["a", "b", "c"], 0.3 + step * 0.01) for step in range(12)]


def test_one_that_is_done_gives_way_at_once() -> None:
    turns = Turns()
    assert turns.choose(["a", "b"], 0.0) == "a"
    assert turns.choose(["b"], 0.001) == "b"
    assert turns.choose([None, "b"], 0.002) == "b"


def _runs(chosen: list[str | None]) -> list[list[str | None]]:
    runs: list[list[str | None]] = [[]]
    for each in chosen:
        if runs[-1] and runs[-1][-1] != each:
            runs.append([])
        runs[-1].append(each)
    return runs


class Loaded:
    def __init__(self, path: Path) -> None:
        if path.name == "broken":
            raise LlamaError("it is no adapter")
        self.path = path
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Shelf:
    """A shelf over adapters without weights."""

    def __init__(self) -> None:
        self.loaded: list[Loaded] = []
        self.forgotten: list[Loaded] = []
        self.shelf = AdapterShelf(self._load, self._forget)

    def _load(self, path: Path) -> Adapter:
        self.loaded.append(Loaded(path))
        return cast("Adapter", self.loaded[-1])

    def _forget(self, adapter: Adapter) -> None:
        self.forgotten.append(cast("Loaded", adapter))


def test_the_last_ones_stay_and_the_oldest_idle_one_goes() -> None:
    fake = Shelf()
    for number in range(9):
        fake.shelf.hold(str(number))
        fake.shelf.release(str(number))
    assert [each.path.name for each in fake.forgotten] == ["0"]
    assert fake.loaded[0].is_closed
    fake.shelf.hold("1")
    assert len(fake.loaded) == 9, "it was still there"


def test_what_is_in_use_stays_however_many_there_are() -> None:
    fake = Shelf()
    for number in range(20):
        fake.shelf.hold(str(number))
    assert not any(each.is_closed for each in fake.loaded)
    for number in range(20):
        fake.shelf.release(str(number))
    assert sum(not each.is_closed for each in fake.loaded) == 8


def test_a_file_that_is_no_adapter_is_told_by_its_name() -> None:
    fake = Shelf()
    with pytest.raises(
        InvalidRequestError, match="The adapter broken does not fit this model: it is no adapter"
    ):
        fake.shelf.hold("/home/someone/broken")
    assert fake.loaded == []
