"""System instructions that people set: what counts, and that it is remembered whoever leaves meanwhile."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from puna.api.instructions import Instructions
from puna.state import State, StateFile


@pytest.mark.parametrize("gone", ["set", "reset"])
async def test_who_leaves_while_the_disk_is_slow_stops_no_change_half_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    file = StateFile(tmp_path / "state.json")
    instructions = Instructions(file, {})
    await instructions.set_text("other", "Be brief.")
    is_writing, may_write, update = threading.Event(), threading.Event(), file.update

    def update_slowly(change: Callable[[State], State]) -> None:
        is_writing.set()
        assert may_write.wait(60)
        update(change)

    monkeypatch.setattr(file, "update", update_slowly)
    change = instructions.set_text("demo", "Be kind.") if gone == "set" else instructions.reset("other")
    leaving = asyncio.create_task(change)
    assert await asyncio.to_thread(is_writing.wait, 60)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    may_write.set()
    await instructions.set_text("third", "Be true.")
    stay = {"demo": "Be kind.", "other": "Be brief."} if gone == "set" else {}
    assert file.read().instructions == stay | {"third": "Be true."}
    assert {name: instructions.text_for(name) for name in (*stay, "third")} == file.read().instructions
