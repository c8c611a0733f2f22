"""Exports take turns, and where their files can go is known before."""

import asyncio
import os
from pathlib import Path

import pytest

from puna.errors import InvalidRequestError, OverloadedError
from puna.finetune.export_turns import MAX_EXPORTS, ExportTurns
from puna.finetune.exporting import check_target


async def test_one_exports_at_a_time_and_in_the_order_of_asking() -> None:
    turns, running, ended = ExportTurns(), 0, []

    async def export(number: int) -> None:
        nonlocal running
        async with turns.take():
            running += 1
            assert running == 1
            await asyncio.sleep(0)
            running -= 1
            ended.append(number)

    await asyncio.gather(*(export(number) for number in range(MAX_EXPORTS)))
    assert ended == list(range(MAX_EXPORTS))


async def test_more_than_a_few_are_told_to_come_again_and_who_leaves_makes_room() -> None:
    turns, may_end = ExportTurns(), asyncio.Event()

    async def export() -> None:
        async with turns.take():
            await may_end.wait()

    waiting = [asyncio.create_task(export()) for _ in range(MAX_EXPORTS)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="Too many exports"):
        turns.check_room()
    with pytest.raises(OverloadedError):
        await export()
    waiting.pop().cancel()
    await asyncio.sleep(0)
    turns.check_room()
    may_end.set()
    await asyncio.gather(*waiting)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a" * 300 + ".gguf", "cannot be used"),
        ("no\0name.gguf", "cannot be used"),
        ("there.gguf", "there already"),
        ("nowhere/model.gguf", "make it first"),
        ("there.gguf/model.gguf", "make it first"),
        ("model.bin", "must end in .gguf"),
    ],
)
def test_a_target_that_cannot_be_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "there.gguf").touch()
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        check_target(tmp_path / name)
    assert caught.value.field == "path"


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_a_link_to_nothing_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "link.gguf").symlink_to(tmp_path / "nothing")
    with pytest.raises(InvalidRequestError, match="there already"):
        check_target(tmp_path / "link.gguf")


def test_a_folder_that_takes_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_target(tmp_path / "model.gguf")
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    with pytest.raises(InvalidRequestError, match="cannot be written to"):
        check_target(tmp_path / "model.gguf")
