"""Projectors (`mmproj`) and the models that they belong to."""

from pathlib import Path

import pytest

from fakes import gguf_files as fake
from fakes.gguf_files import GgufFile, Tensor, model_file, pair, scalar
from fakes.hub_cache import cache_file, set_ref
from puna.domain.models import ModelEntry
from puna.models import projectors
from puna.models.catalogue import LocalCatalogue
from puna.models.header import GgufKind
from puna.models.projectors import Projector, choose_projector, model_of_name
from puna.paths import Paths

DEMO = Paths.for_user().demo_model
LENGTH = 64
"""Of the vectors of the models in `fakes.gguf_files`."""


def projector(length: int = 0) -> GgufFile:
    pairs = [
        pair("general.architecture", scalar(fake.STRING, "clip")),
        pair("general.type", scalar(fake.STRING, "mmproj")),
    ]
    if length:
        pairs.append(pair("clip.vision.projection_dim", scalar(fake.UINT32, length)))
    return GgufFile(pairs, [Tensor("v.patch_embd.weight")])


async def models_in(folder: Path) -> dict[str, ModelEntry]:
    return {entry.id: entry for entry in await LocalCatalogue(DEMO, [folder]).entries()}


@pytest.mark.parametrize(
    ("file_name", "model"),
    [
        ("mmproj-Qwen2.5-VL-7B-Instruct-Q8_0.gguf", "qwen2-5-vl-7b-instruct"),
        ("Qwen2.5-VL-7B-Instruct-UD-Q4_K_XL.gguf", "qwen2-5-vl-7b-instruct"),
        ("Qwen2.5-VL-7B-Instruct-Q4_K_M-00001-of-00002.gguf", "qwen2-5-vl-7b-instruct"),
        ("gemma-3-4b-it.IQ4_XS.gguf", "gemma-3-4b-it"),
        ("gemma-3-4b-it-mmproj-f16.gguf", "gemma-3-4b-it"),
        ("mmproj-model-f16.gguf", "model"),
        ("mmproj-BF16.gguf", ""),
        ("mmproj.gguf", ""),
    ],
)
def test_a_name_tells_its_model(file_name: str, model: str) -> None:
    assert model_of_name(file_name) == model


def choose(
    model: str, *projectors: Projector, beside: tuple[str, ...] = (), length: int = LENGTH
) -> str | None:
    models = {model_of_name(name) for name in (model, *beside)}
    return choose_projector(model, length, models, projectors)


def test_the_projector_with_the_models_name_belongs_to_it() -> None:
    mine, other = Projector("mmproj-a-7b-f16.gguf", 1), Projector("mmproj-b-7b-f16.gguf", LENGTH)
    assert choose("a-7b-Q4_K_M.gguf", mine, other, beside=("b-7b-Q4_K_M.gguf",)) == mine.name
    assert choose("b-7b-Q4_K_M.gguf", mine, other, beside=("a-7b-Q4_K_M.gguf",)) == other.name
    assert choose("c-7b-Q4_K_M.gguf", mine, other) is None


def test_a_projector_without_a_name_belongs_to_all_quantisations_of_one_model() -> None:
    unnamed = Projector("mmproj-F16.gguf", 768)
    assert choose("a-Q4_K_M.gguf", unnamed, beside=("a-Q8_0.gguf",)) == unnamed.name


def test_among_several_models_the_length_of_the_vectors_decides() -> None:
    unnamed = Projector("mmproj-model-f16.gguf", LENGTH)
    assert choose("a-Q4_K_M.gguf", unnamed, beside=("b-Q4_K_M.gguf",)) == unnamed.name
    assert choose("b-Q4_K_M.gguf", unnamed, beside=("a-Q4_K_M.gguf",), length=128) is None
    assert choose("b-Q4_K_M.gguf", Projector("mmproj.gguf"), beside=("a-Q4_K_M.gguf",), length=0) is None


def test_of_several_precisions_sixteen_bits_are_taken() -> None:
    names = ["mmproj-BF16.gguf", "mmproj-F32.gguf", "mmproj-F16.gguf", "mmproj-Q8_0.gguf"]
    projectors = [Projector(name) for name in names]
    assert choose("a-Q4_K_M.gguf", *projectors) == "mmproj-F16.gguf"
    assert choose("a-Q4_K_M.gguf", *projectors[:2]) == "mmproj-BF16.gguf"


async def test_a_model_shows_its_projector_and_what_it_takes(tmp_path: Path) -> None:
    model_file().write(tmp_path / "vision" / "tiny-Q8_0.gguf")
    path = projector(LENGTH).write(tmp_path / "vision" / "mmproj-tiny-f16.gguf")
    model_file().write(tmp_path / "text-Q8_0.gguf")
    models = await models_in(tmp_path)
    assert set(models) == {"demo", "vision/tiny-Q8_0", "text-Q8_0"}
    tiny = models["vision/tiny-Q8_0"]
    assert (tiny.projector, tiny.projector_size_bytes) == (path, path.stat().st_size)
    assert tiny.size_bytes == (tmp_path / "vision" / "tiny-Q8_0.gguf").stat().st_size
    assert models["text-Q8_0"].projector is None


async def test_a_model_named_by_its_path_shows_its_projector_too(tmp_path: Path) -> None:
    model = model_file().write(tmp_path / "tiny-Q8_0.gguf")
    path = projector(LENGTH).write(tmp_path / "mmproj-F16.gguf")
    models = LocalCatalogue(DEMO)
    entry = await models.find(str(model))
    assert entry.projector == path
    assert await models.find(entry.id) == entry


async def test_what_only_calls_itself_a_projector_is_none(tmp_path: Path) -> None:
    model_file().write(tmp_path / "tiny-Q8_0.gguf")
    (tmp_path / "mmproj-tiny-f16.gguf").write_bytes(b"<html>")
    model_file().write(tmp_path / "mmproj-tiny-Q8_0.gguf")
    assert (await models_in(tmp_path))["tiny-Q8_0"].projector is None


async def test_only_projectors_without_a_model_are_told(tmp_path: Path) -> None:
    model_file().write(tmp_path / "a" / "tiny-Q8_0.gguf")
    projector(LENGTH).write(tmp_path / "a" / "mmproj-F16.gguf")
    projector(LENGTH).write(tmp_path / "b" / "mmproj-F16.gguf")
    fake.adapter_file().write(tmp_path / "lora.gguf")
    overview = await LocalCatalogue(DEMO, [tmp_path]).overview()
    assert [(each.id, each.kind) for each in overview.unusable] == [
        ("b/mmproj-F16", GgufKind.PROJECTOR),
        ("lora", GgufKind.ADAPTER),
    ]
    assert not any(each.is_broken for each in overview.unusable)


async def test_projectors_in_the_hubs_cache_belong_to_their_models(tmp_path: Path) -> None:
    cache_file(tmp_path, "org/repo", "Q4_K_M/tiny-Q4_K_M.gguf", model_file().to_bytes())
    path = cache_file(tmp_path, "org/repo", "mmproj-F16.gguf", projector(LENGTH).to_bytes())
    set_ref(tmp_path, "org/repo")
    overview = await LocalCatalogue(DEMO, hub_cache=tmp_path).overview()
    assert [entry.projector for entry in overview.models] == [None, path]
    assert overview.unusable == ()


async def test_a_folder_is_looked_at_once_however_many_models_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        model_file().write(tmp_path / f"model-{number}.gguf")
        projector(LENGTH + number).write(tmp_path / f"mmproj-model-{number}.gguf")
    asked: list[str] = []

    def count(name: str) -> bool:
        asked.append(name)
        return "mmproj" in name

    monkeypatch.setattr(projectors, "is_projector_name", count)
    entries = await models_in(tmp_path)
    assert entries["model-7"].projector == tmp_path / "mmproj-model-7.gguf"
    assert len(asked) <= 2 * 60
