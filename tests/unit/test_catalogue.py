"""Which models are found, under which names, and what is said about the others."""

import asyncio
import errno
import json
import logging
import os
import sys
import threading
from pathlib import Path

import pytest

from fakes import gguf_files as fake
from fakes.gguf_files import model_file
from puna.errors import InvalidRequestError, ModelLoadError, ModelNotFoundError
from puna.models import catalogue as catalogue_module
from puna.models import inspection
from puna.models.catalogue import LocalCatalogue
from puna.models.gguf import reader
from puna.models.header import ModelHeader, read_model_header
from puna.models.inspection import Inspector
from puna.models.listing import Listing
from puna.models.names import path_in
from puna.models.survey import Places, look
from puna.paths import Paths
from puna.residency.ports import Catalogue

DEMO = Paths.for_user().demo_model


def catalogue(*folders: Path, demo: Path = DEMO) -> LocalCatalogue:
    return LocalCatalogue(demo, folders)


async def ids_of(models: LocalCatalogue) -> list[str]:
    return [entry.id for entry in await models.entries()]


async def not_found(models: LocalCatalogue, name: str) -> str:
    with pytest.raises(ModelNotFoundError) as caught:
        await models.find(name)
    return caught.value.message


async def unusable(models: LocalCatalogue, name: str) -> str:
    """Return what is said of a file that cannot run; who names it by its path made a mistake."""
    with pytest.raises(InvalidRequestError if name.startswith("/") else ModelLoadError) as caught:
        await models.find(name)
    return caught.value.message


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("this system lets nobody make links")


async def test_the_demo_model_is_always_there() -> None:
    models: Catalogue = catalogue()
    (entry,) = await models.entries()
    assert (entry.id, entry.path) == ("demo", DEMO)
    assert entry.size_bytes == DEMO.stat().st_size
    assert entry == await models.find("demo")


async def test_a_missing_demo_model_leaves_the_others(tmp_path: Path) -> None:
    model_file().write(tmp_path / "models" / "tiny.gguf")
    models = catalogue(tmp_path / "models", demo=tmp_path / "gone.gguf")
    assert await ids_of(models) == ["tiny"]
    assert "missing" in await not_found(models, "demo")


async def test_files_in_folders_have_their_path_in_the_folder_as_id(tmp_path: Path) -> None:
    model_file("Big Llama").write(tmp_path / "zoo" / "big llama.gguf")
    model_file("Tiny").write(tmp_path / "TINY.GGUF")
    (tmp_path / "notes.txt").write_text("no model")
    entries = await catalogue(tmp_path).entries()
    assert [entry.id for entry in entries] == ["demo", "TINY", "zoo/big llama"]
    big = entries[2]
    assert (big.name, big.architecture, big.context_length) == ("Big Llama", "llama", 2048)
    assert big.path == tmp_path / "zoo" / "big llama.gguf"
    assert big.description == "llama, 4.7K parameters, Q8_0"


async def test_a_model_is_found_by_its_id_with_or_without_suffix(tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "zoo" / "tiny.gguf")
    models = catalogue(tmp_path)
    assert (await models.find("zoo/tiny")).path == path
    assert await models.find("zoo/tiny.gguf") == await models.find("zoo/tiny")


async def test_ids_are_unique_whatever_the_folders_hold(tmp_path: Path) -> None:
    for folder in ("a/models", "b/models", "c"):
        model_file().write(tmp_path / folder / "tiny.gguf")
        model_file().write(tmp_path / folder / "demo.gguf")
    models = catalogue(tmp_path / "a/models", tmp_path / "b/models", tmp_path / "c")
    assert await ids_of(models) == [
        "demo",
        "c/demo",
        "c/tiny",
        "demo~2",
        "models/demo",
        "models/tiny",
        "tiny",
    ]
    assert (await models.find("demo")).path == DEMO


async def test_a_file_with_two_names_is_listed_once(tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "blobs" / "tiny.gguf")
    link(tmp_path / "again.gguf", path)
    assert await ids_of(catalogue(tmp_path)) == ["demo", "again"]


async def test_loops_of_links_and_hidden_folders_are_survived(tmp_path: Path) -> None:
    model_file().write(tmp_path / "a" / "tiny.gguf")
    model_file().write(tmp_path / ".cache" / "hidden.gguf")
    model_file().write(tmp_path / "a" / "._tiny.gguf")
    link(tmp_path / "a" / "up", tmp_path)
    link(tmp_path / "a" / "self", tmp_path / "a" / "self")
    assert await ids_of(catalogue(tmp_path)) == ["demo", "a/tiny"]


async def test_depth_is_bounded(tmp_path: Path) -> None:
    model_file().write(tmp_path / "/".join("abcdefgh") / "deep.gguf")
    model_file().write(tmp_path / "/".join("abcdefghi") / "deeper.gguf")
    assert await ids_of(catalogue(tmp_path)) == ["demo", "a/b/c/d/e/f/g/h/deep"]


async def test_a_folder_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    assert await ids_of(catalogue(tmp_path / "gone")) == ["demo"]


async def test_a_broken_file_is_not_listed_but_named_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = model_file().write(tmp_path / "broken.gguf")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    models = catalogue(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert await ids_of(models) == ["demo"]
        assert await ids_of(models) == ["demo"]
    assert [record.message for record in caplog.records] == [await unusable(models, "broken")]
    assert "100 of its" in caplog.text


async def test_a_file_that_is_repaired_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"<html>")
    models = catalogue(tmp_path)
    assert "web page" in await unusable(models, "tiny")
    model_file().write(path)
    assert (await models.find("tiny")).architecture == "llama"


async def test_a_file_that_goes_away_is_not_found_any_more(tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "tiny.gguf")
    models = catalogue(tmp_path)
    await models.find("tiny")
    path.unlink()
    assert "There is no model 'tiny'" in await not_found(models, "tiny")


async def test_a_new_file_is_found_without_a_restart(tmp_path: Path) -> None:
    models = catalogue(tmp_path)
    assert "There is no model 'late'" in await not_found(models, "late")
    model_file().write(tmp_path / "late.gguf")
    assert (await models.find("late")).id == "late"


async def test_adapters_and_projectors_are_no_models(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake.adapter_file().write(tmp_path / "lora.gguf")
    path = fake.projector_file().write(tmp_path / "mmproj-f16.gguf")
    models = catalogue(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert await ids_of(models) == ["demo"]
    assert not caplog.records
    assert "LoRA adapter" in await unusable(models, "lora")
    assert "image side" in await unusable(models, str(path))


async def test_a_split_model_is_one_entry(tmp_path: Path) -> None:
    parts = [
        file.write(tmp_path / f"big-{index:05d}-of-00003.gguf")
        for index, file in enumerate(fake.split_files(3), start=1)
    ]
    models = catalogue(tmp_path)
    entries = await models.entries()
    assert [entry.id for entry in entries] == ["demo", "big"]
    assert entries[1].path == parts[0]
    assert entries[1].size_bytes == sum(part.stat().st_size for part in parts)
    assert await models.find(str(parts[2])) == entries[1]


@pytest.mark.parametrize("missing", [1, 2, 3])
async def test_a_missing_part_is_named(tmp_path: Path, missing: int) -> None:
    for index, part in enumerate(fake.split_files(3), start=1):
        if index != missing:
            part.write(tmp_path / f"big-{index:05d}-of-00003.gguf")
    models = catalogue(tmp_path)
    assert await ids_of(models) == ["demo"]
    assert f"big-{missing:05d}-of-00003.gguf is missing" in await unusable(models, "big")


async def test_parts_under_wrong_names_are_refused(tmp_path: Path) -> None:
    first, second = fake.split_files(2)
    first.write(tmp_path / "model.gguf")
    second.write(tmp_path / "a-00001-of-00002.gguf")
    first.write(tmp_path / "a-00002-of-00002.gguf")
    model_file().write(tmp_path / "b-00001-of-00002.gguf")
    model_file().write(tmp_path / "b-00002-of-00002.gguf")
    models = catalogue(tmp_path)
    assert "one of 2 parts, but is not named so" in await unusable(models, "model")
    assert "a-00001-of-00002.gguf" in await unusable(models, "a")
    assert "b-00001-of-00002.gguf" in await unusable(models, "b")


async def test_a_part_that_is_cut_is_named(tmp_path: Path) -> None:
    first, second = fake.split_files(2)
    first.write(tmp_path / "a-00001-of-00002.gguf")
    path = second.write(tmp_path / "a-00002-of-00002.gguf")
    path.write_bytes(path.read_bytes()[:-200])
    assert "a-00002-of-00002.gguf is cut short" in await unusable(catalogue(tmp_path), "a")


async def test_any_file_can_be_named_by_its_path_and_stays_listed(tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "elsewhere" / "tiny.gguf")
    models = catalogue(tmp_path / "models")
    entry = await models.find(str(path))
    assert (entry.id, entry.path) == ("tiny", path)
    assert await ids_of(models) == ["demo", "tiny"]
    assert await models.find("tiny") == entry
    assert await models.find(str(path)) == entry


async def test_files_of_one_name_named_by_path_get_different_ids(tmp_path: Path) -> None:
    paths = [model_file().write(tmp_path / folder / "tiny.gguf") for folder in ("a", "b", "models")]
    models = catalogue(tmp_path / "models")
    assert [(await models.find(str(path))).id for path in paths] == ["tiny~2", "tiny~3", "tiny"]
    assert await ids_of(models) == ["demo", "tiny", "tiny~2", "tiny~3"]
    assert (await models.find("tiny~3")).path == paths[1]


async def test_a_listed_file_named_by_its_path_keeps_its_id(tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "zoo" / "tiny.gguf")
    link(tmp_path / "other.gguf", path)
    models = catalogue(tmp_path / "zoo")
    assert (await models.find(str(path))).id == "tiny"
    assert (await models.find(str(tmp_path / "other.gguf"))).id == "tiny"
    assert (await models.find(str(DEMO))).id == "demo"


async def test_a_path_from_the_home_folder_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = model_file().write(tmp_path / "tiny.gguf")
    assert (await catalogue().find("~/tiny.gguf")).path == path
    assert "There is no model '~nobody/tiny.gguf'" in await not_found(catalogue(), "~nobody/tiny.gguf")


async def test_a_relative_path_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_file().write(tmp_path / "outside.gguf")
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    models = catalogue(tmp_path / "models")
    for name in (
        "outside.gguf",
        "./outside.gguf",
        "../outside.gguf",
        "models/../outside.gguf",
        ".",
        "..",
        "",
    ):
        assert "There is no model" in await not_found(models, name)


async def test_odd_names_are_simply_not_found() -> None:
    for name in (
        "\0",
        "/\0.gguf",
        "a" * 10_000,
        "/" + "a" * 10_000,
        "/" + "a" * 300,
        "\ud800",
        "/\ud800",
        "*",
        "%s",
    ):
        message = await not_found(catalogue(), name)
        assert len(message) < 500
        assert message.isprintable()
        json.dumps(message).encode()


async def test_a_path_that_is_no_model_is_a_mistake_of_the_request_and_a_bad_alias_is_none(
    tmp_path: Path,
) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    path = str(tmp_path / "notes.txt")
    with pytest.raises(InvalidRequestError, match=r"notes\.txt is not a GGUF file") as caught:
        await catalogue().find(path)
    assert caught.value.field == "model"
    with pytest.raises(ModelLoadError):
        await LocalCatalogue(DEMO, (), {"mine": path}).find("mine")


async def test_what_is_no_regular_file_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "secret-place"
    folder.mkdir()
    (folder / "page.gguf").write_text("<html>")
    models = catalogue()
    messages = [
        await unusable(models, str(folder)),
        await unusable(models, str(folder / "page.gguf")),
        await not_found(models, str(folder / "gone.gguf")),
        await not_found(models, str(folder / "page.gguf" / "below.gguf")),
    ]
    assert "is a folder" in messages[0]
    assert "web page" in messages[1]
    assert "There is no file 'gone.gguf'" in messages[2]
    for message in messages:
        assert str(tmp_path) not in message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
async def test_devices_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    models = catalogue(tmp_path)
    assert await ids_of(models) == ["demo"]
    assert await unusable(models, "pipe") == "pipe.gguf is not a regular file."
    assert await unusable(models, "/dev/zero") == "zero is not a regular file."


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="the administrator may read everything"
)
async def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "tiny.gguf")
    path.chmod(0)
    assert "tiny.gguf cannot be read: Permission denied." in await unusable(catalogue(), str(path))


async def test_a_file_that_may_be_read_again_is_listed_though_it_did_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_file().write(tmp_path / "mine.gguf")
    models = catalogue(tmp_path)

    def refuse(path: str, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(reader, "_open_without_waiting", refuse)
        assert await unusable(models, "mine") == "mine.gguf cannot be read: Permission denied."
    assert (await models.find("mine")).id == "mine"


def test_windows_network_paths_are_refused_before_they_are_opened() -> None:
    for name in ("\\\\evil\\share\\x.gguf", "//evil/share/x.gguf", "\\\\?\\C:\\x.gguf", "\\\\.\\pipe\\x"):
        with pytest.raises(ModelLoadError, match="network"):
            path_in(name, is_windows=True)


async def test_unknown_names_get_the_nearest_ids(tmp_path: Path) -> None:
    for name in ("llama-3-8b", "llama-3-70b", "qwen-7b"):
        model_file().write(tmp_path / f"{name}.gguf")
    message = await not_found(catalogue(tmp_path), "lama-3-8b")
    assert message == "There is no model 'lama-3-8b'. Did you mean 'llama-3-8b' or 'llama-3-70b'?"
    far = await not_found(catalogue(tmp_path), "gpt4")
    assert far.startswith(
        "There is no model 'gpt4'. There are 'demo', 'llama-3-70b', 'llama-3-8b' and 1 more."
    )


async def test_a_header_is_read_once_while_the_file_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def recording(path: Path) -> ModelHeader:
        reads.append(path.name)
        return read_model_header(path)

    monkeypatch.setattr(inspection, "read_model_header", recording)
    path = model_file().write(tmp_path / "tiny.gguf")
    models = catalogue(tmp_path)
    for _ in range(3):
        await asyncio.gather(*(models.find("tiny") for _ in range(8)), models.entries())
    assert sorted(reads) == [DEMO.name, "tiny.gguf"]
    os.utime(path, ns=(1, 1))
    await models.find("tiny")
    assert reads.count("tiny.gguf") == 2


async def test_a_look_that_ends_late_does_not_hide_what_a_later_one_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_file().write(tmp_path / "files" / "tiny.gguf")
    file = model_file().write(tmp_path / "elsewhere" / "named.gguf")
    models = catalogue(tmp_path / "files")
    await models.entries()
    may_end, has_begun = threading.Event(), threading.Event()

    def look_slowly(places: Places, inspector: Inspector) -> Listing:
        found = look(places, inspector)
        if not places.named:
            has_begun.set()
            assert may_end.wait(60)
        return found

    monkeypatch.setattr(catalogue_module, "look", look_slowly)
    early = asyncio.create_task(models.refresh())
    await asyncio.to_thread(has_begun.wait, 60)
    await models.find(str(file))
    later = await models.refresh()
    may_end.set()
    assert "named" not in (await early).models
    assert models._listing is later


async def test_a_caller_who_gives_up_does_not_stop_the_others(tmp_path: Path) -> None:
    model_file().write(tmp_path / "tiny.gguf")
    models = catalogue(tmp_path)
    leaving = asyncio.create_task(models.find("tiny"))
    staying = asyncio.create_task(models.find("tiny"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).id == "tiny"
    with pytest.raises(asyncio.CancelledError):
        await leaving


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
async def test_a_file_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    model_file().write(tmp_path / os.fsdecode(b"bad\xff.gguf"))
    model_file().write(tmp_path / "new\nline.gguf")
    model_file().write(tmp_path / "good.gguf")
    assert await ids_of(catalogue(tmp_path)) == ["demo", "good"]


async def test_an_alias_stands_for_an_id_or_a_path(tmp_path: Path) -> None:
    file = model_file().write(tmp_path / "some.gguf")
    models = LocalCatalogue(DEMO, (), {"llama3.2:1b": "demo", "mine": str(file), "gone": "nothing"})
    assert (await models.find("llama3.2:1b")).id == "demo"
    assert (await models.find("mine")).path == file
    assert "nothing" in await not_found(models, "gone")


async def test_an_unknown_name_is_told_the_nearest_aliases_too() -> None:
    models = LocalCatalogue(DEMO, (), {"llama3.2:1b": "demo"})
    assert "'llama3.2:1b'" in await not_found(models, "llama3.2:3b")
