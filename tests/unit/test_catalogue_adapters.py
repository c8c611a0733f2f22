"""Adapters in the catalogue: found by what their base contains, and never put on another model."""

import hashlib
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from fakes.adapter_shelves import FixedShelf, adapter_id, put_adapter, record_of
from fakes.gguf_files import model_file
from puna.domain.finetune import AdapterRecord
from puna.domain.models import ModelEntry, ModelSource
from puna.errors import InvalidRequestError, ModelLoadError, ModelNotFoundError
from puna.models.adapters import AdaptedModels
from puna.models.catalogue import LocalCatalogue
from puna.models.fingerprints import Fingerprints
from puna.models.listing import UnusableFile
from puna.paths import Paths

DEMO = Paths.for_user().demo_model
ID = adapter_id(1)


@pytest.fixture
def shelf(tmp_path: Path) -> FixedShelf:
    record = record_of(1, DEMO)
    put_adapter(tmp_path / "adapters", record, DEMO, seed=1)
    return FixedShelf(tmp_path / "adapters", record)


def catalogue(shelf: FixedShelf, *folders: Path, demo: Path = DEMO) -> LocalCatalogue:
    return LocalCatalogue(demo, folders, adapters=AdaptedModels(shelf))


def change(shelf: FixedShelf, **changes: object) -> AdapterRecord:
    shelf.known[ID] = replace(shelf.known[ID], **changes)
    return shelf.known[ID]


async def test_an_adapter_is_a_model_that_can_what_its_base_can(shelf: FixedShelf) -> None:
    models = catalogue(shelf)
    demo, adapter = await models.entries()
    assert (adapter.id, adapter.name, adapter.source) == (ID, "adapter 1", ModelSource.ADAPTER)
    assert (adapter.base, adapter.resident_id, adapter.adapter) == ("demo", "demo", shelf.path(ID))
    assert (adapter.chat_template, adapter.context_length) == (demo.chat_template, demo.context_length)
    assert (demo.resident_id, demo.adapter) == ("demo", None)
    assert await models.find(ID) == adapter


async def test_a_base_tells_how_large_the_adapters_are_that_may_be_put_on_it(
    shelf: FixedShelf, tmp_path: Path
) -> None:
    other = adapter_id(2)
    shelf.known[other] = replace(record_of(2, DEMO), base_id="renamed", size_bytes=70)
    change(shelf, size_bytes=30)
    model_file().write(tmp_path / "models" / "another.gguf")
    models = catalogue(shelf, tmp_path / "models")
    assert (await models.find("demo")).adapter_sizes == (30, 70)
    assert (await models.find("another")).adapter_sizes == ()
    assert (await models.find(ID)).adapter_sizes == ()


async def test_an_adapter_without_its_base_is_listed_as_unusable_with_the_reason(
    shelf: FixedShelf, tmp_path: Path
) -> None:
    models = catalogue(shelf, demo=tmp_path / "gone.gguf")
    (unusable,) = (await models.overview()).unusable
    assert (unusable.id, unusable.is_broken) == (ID, True)
    assert "needs its base model demo, which is not here" in unusable.reason
    assert await models.entries() == []
    with pytest.raises(ModelLoadError, match="which is not here"):
        await models.find(ID)
    assert isinstance(await models.find_any(ID), UnusableFile)


async def test_an_adapter_is_never_put_on_another_file_of_the_same_name(shelf: FixedShelf) -> None:
    change(shelf, base_sha256="0" * 64)
    with pytest.raises(ModelLoadError, match="was trained on another file than the demo that is here now"):
        await catalogue(shelf).find(ID)


async def test_a_base_is_found_under_another_name_too(shelf: FixedShelf, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(DEMO, folder / "copied.gguf")
    model_file().write(folder / "another.gguf")
    change(shelf, base_id="vanished")
    adapter = await catalogue(shelf, folder, demo=tmp_path / "gone.gguf").find(ID)
    assert adapter.base == "copied"


async def test_a_base_that_comes_later_is_found_then(shelf: FixedShelf, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    change(shelf, base_id="later")
    models = catalogue(shelf, folder, demo=tmp_path / "gone.gguf")
    with pytest.raises(ModelLoadError):
        await models.find(ID)
    shutil.copy(DEMO, folder / "later.gguf")
    assert (await models.find(ID)).base == "later"


async def test_a_base_that_is_replaced_while_puna_runs_is_noticed(shelf: FixedShelf, tmp_path: Path) -> None:
    base = tmp_path / "base.gguf"
    shutil.copy(DEMO, base)
    models = catalogue(shelf, demo=base)
    assert (await models.find(ID)).base == "demo"
    model_file().write(base)
    with pytest.raises(ModelLoadError, match="another file"):
        await models.find(ID)


async def test_the_list_of_models_does_not_wait_for_bases_to_be_read(
    shelf: FixedShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = catalogue(shelf)
    with monkeypatch.context() as patched:
        patched.setattr(Fingerprints, "_hash", None)
        assert [entry.id for entry in await models.entries()] == ["demo", ID]
    change(shelf, base_sha256="0" * 64)
    with pytest.raises(ModelLoadError, match="another file"):
        await models.find(ID)
    assert [each.id for each in (await models.overview()).unusable] == [ID], "now it is known"
    change(shelf, base_size_bytes=7)
    assert [entry.id for entry in await catalogue(shelf).entries()] == ["demo"]


async def test_an_adapter_whose_file_is_gone_says_so(shelf: FixedShelf) -> None:
    shelf.path(ID).unlink()
    with pytest.raises(ModelLoadError, match="is gone; train it again"):
        await catalogue(shelf).find(ID)


async def test_a_removed_adapter_is_no_model_any_more(shelf: FixedShelf) -> None:
    models = catalogue(shelf)
    await models.find(ID)
    shelf.known.clear()
    with pytest.raises(ModelNotFoundError):
        await models.find(ID)
    assert [entry.id for entry in await models.entries()] == ["demo"]


async def test_near_names_are_told_and_the_list_of_models_does_not_forget_adapters(shelf: FixedShelf) -> None:
    models = catalogue(shelf)
    with pytest.raises(ModelNotFoundError, match=ID):
        await models.find(f"{ID[:-1]}2")
    with pytest.raises(InvalidRequestError, match=f"puna adapters rm {ID}"):
        await models.forget(ID)


async def test_a_file_is_hashed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fingerprints = tmp_path / "file", Fingerprints()
    path.write_bytes(b"a")
    assert await fingerprints.sha256_of(path) == hashlib.sha256(b"a").hexdigest()
    with monkeypatch.context() as patched:
        patched.setattr(Fingerprints, "_hash", None)
        assert await fingerprints.sha256_of(path) == hashlib.sha256(b"a").hexdigest()
    path.write_bytes(b"bc")
    assert await fingerprints.sha256_of(path) == hashlib.sha256(b"bc").hexdigest()


async def test_a_stop_ends_the_reading(tmp_path: Path) -> None:
    path, fingerprints = tmp_path / "file", Fingerprints()
    path.write_bytes(b"a")
    fingerprints.close()
    with pytest.raises(ModelLoadError, match="stopping"):
        await fingerprints.sha256_of(path)


def test_an_entry_of_a_plain_model_answers_in_its_own_place() -> None:
    entry = ModelEntry(id="plain", name="plain", size_bytes=0)
    assert entry.resident_id == "plain"
