"""Names that people give to models: what they stand for, which are refused, and that they are remembered."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.gguf_files import model_file
from fakes.scripted_model import entry_of
from puna.api.instructions import Instructions
from puna.errors import InvalidRequestError, StoreError
from puna.models.catalogue import LocalCatalogue
from puna.models.nicknames import MAX_NICKNAMES, Nicknames
from puna.paths import Paths
from puna.state import State, StateFile

DEMO = Paths.for_user().demo_model


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state.json")


def nicknames(file: StateFile, **fixed: str) -> Nicknames:
    return Nicknames(file, file.read().nicknames, fixed)


async def test_a_name_stands_for_a_file_also_after_a_restart_and_outside_all_folders(
    file: StateFile, tmp_path: Path
) -> None:
    path = model_file().write(tmp_path / "somewhere" / "tiny.gguf")
    names = nicknames(file)
    models = LocalCatalogue(DEMO, (), names)
    await names.give("mine", await models.find(str(path)))
    await names.give("little", await models.find("demo"))
    assert (await models.find("mine")).path == path
    restarted = LocalCatalogue(DEMO, (), nicknames(file))
    assert (await restarted.find("mine")).path == path
    assert (await restarted.find("little")).id == "demo"
    assert file.read().nicknames == {"mine": str(path), "little": "demo"}


async def test_a_name_is_given_anew_and_taken_back(file: StateFile) -> None:
    names = nicknames(file)
    await names.give("mine", entry_of("one"))
    await names.give("mine", entry_of("two"))
    assert dict(names) == {"mine": "two.gguf"}
    await names.take_back("mine")
    await names.take_back("mine")
    assert (dict(names), file.read().nicknames) == ({}, {})


async def test_names_of_the_settings_win_and_stay(file: StateFile) -> None:
    await nicknames(file).give("mine", entry_of("one"))
    names = nicknames(file, mine="demo", other="demo")
    assert (list(names), len(names), names["mine"]) == (["mine", "other"], 2, "demo")
    with pytest.raises(InvalidRequestError, match="model_aliases"):
        await names.give("other", entry_of("one"))
    with pytest.raises(InvalidRequestError, match="model_aliases"):
        await names.take_back("mine")
    assert nicknames(file)["mine"] == "one.gguf"


@pytest.mark.parametrize("name", ["", "/etc/model", "~/model", "-x", "a b", "a\n", "\u00fc", "x" * 201])
async def test_what_can_be_no_name_is_refused(file: StateFile, name: str) -> None:
    with pytest.raises(InvalidRequestError, match="letters, digits"):
        await nicknames(file).give(name, entry_of("one"))


async def test_there_is_an_end_to_names(file: StateFile) -> None:
    file.write(State(nicknames={f"name{number}": "demo" for number in range(MAX_NICKNAMES)}))
    names = nicknames(file)
    await names.give("name7", entry_of("one"))
    with pytest.raises(InvalidRequestError, match="delete one first"):
        await names.give("one-more", entry_of("one"))


async def test_changes_at_the_same_time_are_all_remembered(file: StateFile) -> None:
    names, instructions = nicknames(file), Instructions(file, {})
    await asyncio.gather(
        *(names.give(f"name{number}", entry_of("one")) for number in range(10)),
        *(instructions.set_text(f"model{number}", "Be brief.") for number in range(10)),
    )
    state = file.read()
    assert (len(state.nicknames), len(state.instructions)) == (10, 10)


async def test_who_leaves_while_a_name_is_written_does_not_make_it_forgotten(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, may_write = nicknames(file), threading.Event()
    update = StateFile.update

    def update_late(state_file: StateFile, change: Callable[[State], State]) -> object:
        assert may_write.wait(60)
        return update(state_file, change)

    with monkeypatch.context() as patched:
        patched.setattr(StateFile, "update", update_late)
        leaving = asyncio.create_task(names.give("first", entry_of("one")))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        may_write.set()
        await names.give("second", entry_of("two"))
    assert dict(names) == file.read().nicknames == {"first": "one.gguf", "second": "two.gguf"}


async def test_a_name_that_cannot_be_written_is_not_given(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    names = nicknames(file)
    monkeypatch.setattr(StateFile, "update", refuse)
    with pytest.raises(StoreError):
        await names.give("mine", entry_of("one"))
    assert dict(names) == {}
