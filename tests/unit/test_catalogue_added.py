"""Files that are added by their path: listed where they lie, remembered, and forgotten."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from fakes import gguf_files as fake
from fakes.gguf_files import model_file
from fakes.hub_cache import cache_file, set_ref
from puna.domain.models import ModelEntry, ModelSource
from puna.errors import InvalidRequestError, ModelLoadError, ModelNotFoundError
from puna.models import added
from puna.models.added import AddedFiles
from puna.models.catalogue import LocalCatalogue
from puna.models.nicknames import Nicknames
from puna.paths import Paths
from puna.state import StateFile

DEMO = Paths.for_user().demo_model


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state" / "state.json")


def start(state: StateFile, *folders: Path, hub_cache: Path | None = None, **aliases: str) -> LocalCatalogue:
    """Return the catalogue of a daemon that starts now."""
    remembered = AddedFiles(state, state.read().added_files)
    return LocalCatalogue(DEMO, folders, aliases, hub_cache=hub_cache, added=remembered)


async def ids_of(models: LocalCatalogue) -> list[str]:
    return [entry.id for entry in await models.entries()]


async def test_an_added_file_stays_listed_over_restarts_and_is_not_copied(
    state: StateFile, tmp_path: Path
) -> None:
    path = model_file().write(tmp_path / "downloads" / "tiny.gguf")
    entry = await start(state).add(path)
    assert (entry.id, entry.path, entry.source) == ("tiny", path, ModelSource.ADDED)
    again = start(state)
    assert await ids_of(again) == ["demo", "tiny"]
    assert await again.find("tiny") == entry
    assert list(path.parent.iterdir()) == [path]


async def test_an_added_file_can_have_a_name_of_its_own(state: StateFile, tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "ggml-model-q4.gguf")
    models = start(state)
    await models.add(path)
    assert (await models.add(path, "helper")).id == "helper"
    assert await ids_of(start(state)) == ["demo", "helper"]
    assert (await models.find(str(path))).id == "helper"


async def test_a_name_that_two_files_get_at_the_same_time_is_that_of_one(
    state: StateFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = start(state)
    paths = [model_file().write(tmp_path / f"{name}.gguf") for name in "ab"]
    both = asyncio.Barrier(2)
    add = AddedFiles.add

    async def add_with_the_other(self: AddedFiles, *file: Any, **details: Any) -> None:
        await both.wait()
        await add(self, *file, **details)

    monkeypatch.setattr(AddedFiles, "add", add_with_the_other)
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(
            *(models.add(path, "helper") for path in paths), return_exceptions=True
        )
    [refusal] = [each for each in outcomes if isinstance(each, BaseException)]
    assert isinstance(refusal, InvalidRequestError)
    assert "helper is the name of a model" in refusal.message
    [entry] = [each for each in outcomes if isinstance(each, ModelEntry)]
    assert (await start(state).find("helper")).path == entry.path


async def test_two_files_of_one_name_get_different_ids(state: StateFile, tmp_path: Path) -> None:
    models = start(state)
    for folder in ("a", "b"):
        await models.add(model_file(folder).write(tmp_path / folder / "tiny.gguf"))
    assert {(entry.id, entry.name) for entry in await models.entries()} >= {("tiny", "a"), ("tiny~2", "b")}
    assert (await start(state).find("tiny~2")).name == "b"


async def test_what_a_request_named_is_listed_until_the_next_start_only(
    state: StateFile, tmp_path: Path
) -> None:
    path = model_file().write(tmp_path / "tiny.gguf")
    models = start(state)
    assert (await models.find(str(path))).source is ModelSource.NAMED
    assert await ids_of(models) == ["demo", "tiny"]
    assert await ids_of(start(state)) == ["demo"]


async def test_adding_what_was_named_keeps_its_id(state: StateFile, tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "tiny.gguf")
    models = start(state)
    named = await models.find(str(path))
    entry = await models.add(path)
    assert (entry.id, entry.source) == (named.id, ModelSource.ADDED)
    assert await ids_of(models) == ["demo", "tiny"]


async def test_a_file_that_is_listed_anyway_need_not_be_remembered(state: StateFile, tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "zoo" / "tiny.gguf")
    cached = cache_file(tmp_path / "hub", "org/repo", "m-Q8_0.gguf", model_file("Hub").to_bytes())
    set_ref(tmp_path / "hub", "org/repo")
    models = start(state, tmp_path / "zoo", hub_cache=tmp_path / "hub")
    assert (await models.add(path)).id == "tiny"
    assert (await models.add(DEMO)).id == "demo"
    assert (await models.add(cached)).id == "org/repo:Q8_0"
    assert state.read().added_files == {}
    assert (await models.add(path, "mine")).source is ModelSource.ADDED
    assert await ids_of(models) == ["demo", "mine", "org/repo:Q8_0"]


async def test_all_parts_of_a_split_model_are_added_at_once(state: StateFile, tmp_path: Path) -> None:
    parts = [
        file.write(tmp_path / f"big-{index:05d}-of-00003.gguf")
        for index, file in enumerate(fake.split_files(3), start=1)
    ]
    entry = await start(state).add(parts[1])
    assert (entry.id, entry.files) == ("big", tuple(parts))
    assert (await start(state).find("big")).path == parts[0]


async def test_a_forgotten_file_stays_on_disk(state: StateFile, tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "tiny.gguf")
    models = start(state)
    await models.add(path)
    assert await models.forget("tiny") == "tiny"
    assert await ids_of(models) == await ids_of(start(state)) == ["demo"]
    assert path.exists()
    with pytest.raises(ModelNotFoundError):
        await models.forget("tiny")


async def test_a_named_file_is_forgotten_too(state: StateFile, tmp_path: Path) -> None:
    models = start(state)
    await models.find(str(model_file().write(tmp_path / "tiny.gguf")))
    await models.forget("tiny.gguf")
    assert await ids_of(models) == ["demo"]


async def test_models_that_are_there_for_another_reason_are_not_forgotten(
    state: StateFile, tmp_path: Path
) -> None:
    path = model_file().write(tmp_path / "zoo" / "tiny.gguf")
    cache_file(tmp_path / "hub", "org/repo", "m-Q8_0.gguf", model_file("Hub").to_bytes())
    set_ref(tmp_path / "hub", "org/repo")
    models = start(state, path.parent, hub_cache=tmp_path / "hub")
    for name, reason in (
        ("demo", "part of Puna"),
        ("tiny", "only reads"),
        ("org/repo", "`puna rm org/repo:Q8_0`"),
    ):
        with pytest.raises(InvalidRequestError, match=reason):
            await models.forget(name)
    assert path.exists()


async def test_a_file_that_moved_away_is_told_and_comes_back_or_is_forgotten(
    state: StateFile, tmp_path: Path
) -> None:
    path = model_file().write(tmp_path / "drive" / "tiny.gguf")
    await start(state).add(path)
    path.rename(tmp_path / "elsewhere.gguf")
    models = start(state)
    assert await ids_of(models) == ["demo"]
    (gone,) = (await models.overview()).unusable
    assert gone.reason == (
        "tiny.gguf is not where it was added from; put it back, or forget it with `puna rm tiny`."
    )
    with pytest.raises(ModelLoadError, match="not where it was added from"):
        await models.find("tiny")
    (tmp_path / "elsewhere.gguf").rename(path)
    assert (await models.find("tiny")).path == path
    path.unlink()
    assert await models.find_any("tiny") == gone
    await models.forget("tiny")
    assert (await models.overview()).unusable == ()


async def test_what_cannot_be_added_is_refused_with_its_reason(state: StateFile, tmp_path: Path) -> None:
    models = start(state, mine="demo")
    path = model_file().write(tmp_path / "tiny.gguf")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"<html>")
    with pytest.raises(InvalidRequestError, match="must be absolute"):
        await models.add(Path("tiny.gguf"))
    with pytest.raises(ModelNotFoundError, match="no file 'gone"):
        await models.add(tmp_path / "gone.gguf")
    with pytest.raises(InvalidRequestError, match="web page"):
        await models.add(broken)
    with pytest.raises(InvalidRequestError, match="LoRA adapter"):
        await models.add(fake.adapter_file().write(tmp_path / "lora.gguf"))
    for name in ("demo", "mine"):
        with pytest.raises(InvalidRequestError, match="is the name of a model"):
            await models.add(path, name)
    for name in ("new\nline", "/etc/passwd"):
        with pytest.raises(InvalidRequestError, match="short text"):
            await models.add(path, name)
    assert state.read().added_files == {}


async def test_there_is_an_end_to_added_files(
    state: StateFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(added, "MAX_ADDED", 2)
    models = start(state)
    for name in ("a", "b"):
        await models.add(model_file().write(tmp_path / f"{name}.gguf"))
    with pytest.raises(InvalidRequestError, match="forget one"):
        await models.add(model_file().write(tmp_path / "c.gguf"))


async def test_nicknames_of_added_models_and_of_the_hub_follow_their_ids(
    state: StateFile, tmp_path: Path
) -> None:
    path = model_file().write(tmp_path / "tiny.gguf")
    cache_file(tmp_path / "hub", "org/repo", "m-Q8_0.gguf", model_file("Hub").to_bytes())
    set_ref(tmp_path / "hub", "org/repo")
    models = start(state, hub_cache=tmp_path / "hub")
    await models.add(path)
    names = Nicknames(state, {}, {})
    await names.give("mine", await models.find("tiny"))
    await names.give("theirs", await models.find("org/repo"))
    assert dict(names) == {"mine": "tiny", "theirs": "org/repo:Q8_0"}
    assert state.read().added_files == {"tiny": str(path)}


@pytest.mark.skipif(sys.platform == "win32", reason="not everybody may make links on Windows")
async def test_a_link_and_its_target_are_one_model(state: StateFile, tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "tiny.gguf")
    (tmp_path / "link.gguf").symlink_to(path)
    models = start(state)
    await models.add(tmp_path / "link.gguf")
    assert (await models.add(path)).id == "link"
    assert await ids_of(models) == ["demo", "link"]
