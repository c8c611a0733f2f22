"""What a header tells of a model: what it is for and what it can do."""

from pathlib import Path

import pytest

from fakes.gguf_files import BOOL, INT32, STRING, UINT32, array, model_file, pair, scalar
from fakes.tiny_embedders import NONE, RANK, WIDTH, write_decoding_embedder, write_embedder, write_reranker
from puna.domain.models import ModelEntry, ModelKind
from puna.models.abilities import ENCODERS
from puna.models.catalogue import LocalCatalogue
from puna.models.header import read_model_header


async def entry_of(folder: Path, *extra: bytes) -> ModelEntry:
    path = model_file("Tiny", *extra).write(folder / "tiny.gguf")
    return await LocalCatalogue(folder / "no-demo.gguf", [folder]).find(str(path))


def kind_of(path: Path) -> ModelKind:
    return read_model_header(path).model_kind


async def test_a_model_that_does_not_pool_generates_text(tmp_path: Path) -> None:
    assert (await entry_of(tmp_path)).kind is ModelKind.TEXT
    unpooled = pair("llama.pooling_type", scalar(UINT32, NONE))
    assert (await entry_of(tmp_path, unpooled)).kind is ModelKind.TEXT


@pytest.mark.parametrize("pooling", [1, 2, 3])
async def test_a_model_that_pools_embeds(tmp_path: Path, pooling: int) -> None:
    entry = await entry_of(tmp_path, pair("llama.pooling_type", scalar(UINT32, pooling)))
    assert entry.kind is ModelKind.EMBEDDING


async def test_a_model_that_pools_to_a_rank_is_a_reranker(tmp_path: Path) -> None:
    entry = await entry_of(tmp_path, pair("llama.pooling_type", scalar(UINT32, RANK)))
    assert entry.kind is ModelKind.RERANKER


@pytest.mark.parametrize("architecture", sorted(ENCODERS))
def test_an_encoder_embeds_whether_or_not_it_says_how(tmp_path: Path, architecture: str) -> None:
    for pooling in (None, NONE):
        path = write_embedder(tmp_path / "model.gguf", architecture=architecture, pooling=pooling)
        assert kind_of(path) is ModelKind.EMBEDDING


def test_the_models_of_these_tests_are_what_they_are_called(tmp_path: Path) -> None:
    assert kind_of(write_reranker(tmp_path / "reranker.gguf")) is ModelKind.RERANKER
    assert kind_of(write_decoding_embedder(tmp_path / "decoder.gguf")) is ModelKind.EMBEDDING
    assert read_model_header(tmp_path / "decoder.gguf").embedding_length == WIDTH


async def test_the_width_behind_the_last_layer_is_that_of_the_vectors(tmp_path: Path) -> None:
    assert (await entry_of(tmp_path)).embedding_length == 64
    entry = await entry_of(tmp_path, pair("llama.embedding_length_out", scalar(UINT32, 32)))
    assert entry.embedding_length == 32


async def test_the_figures_of_a_file_are_listed(tmp_path: Path) -> None:
    entry = await entry_of(tmp_path)
    assert (entry.parameter_count, entry.quantisation) == (64 * 8 + 64 + 64 * 64, "Q8_0")
    assert entry.modified_s == pytest.approx((tmp_path / "tiny.gguf").stat().st_mtime)


@pytest.mark.parametrize(
    "names",
    [("fim_pre", "fim_suf", "fim_mid"), ("prefix", "suffix", "middle"), ("fim_pre", "suffix", "fim_mid")],
)
async def test_tokens_for_a_gap_are_found_under_both_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    pairs = [pair(f"tokenizer.ggml.{name}_token_id", scalar(UINT32, 1)) for name in names]
    assert (await entry_of(tmp_path, *pairs)).can_infill
    assert not (await entry_of(tmp_path, *pairs[:2])).can_infill


@pytest.mark.parametrize(
    ("template", "thinks", "calls"),
    [
        ("{{ messages }}", False, False),
        ("{% if tools %}{{ tools }}{% endif %}{{ messages }}", False, True),
        ("{{ messages }}<think>{{ x.split('</think>') }}", True, False),
        ("{{ mytoolset }}", False, False),
    ],
)
async def test_a_template_tells_whether_a_model_thinks_and_calls(
    tmp_path: Path, template: str, thinks: bool, calls: bool
) -> None:
    entry = await entry_of(tmp_path, pair("tokenizer.chat_template", scalar(STRING, template)))
    assert (entry.can_think, entry.can_call_tools, entry.chat_template) == (thinks, calls, template)


async def test_a_further_template_for_tools_counts(tmp_path: Path) -> None:
    entry = await entry_of(tmp_path, pair("tokenizer.chat_templates", array(STRING, ["tool_use"])))
    assert entry.can_call_tools
    assert entry.chat_template is None


async def test_an_embedding_model_neither_thinks_nor_calls(tmp_path: Path) -> None:
    template = pair("tokenizer.chat_template", scalar(STRING, "{{ tools }}</think>"))
    entry = await entry_of(tmp_path, template, pair("llama.pooling_type", scalar(UINT32, 3)))
    assert (entry.can_think, entry.can_call_tools, entry.chat_template) == (False, False, None)


async def test_a_pooling_type_that_is_no_number_says_nothing(tmp_path: Path) -> None:
    assert (await entry_of(tmp_path, pair("llama.pooling_type", scalar(BOOL, True)))).kind is ModelKind.TEXT
    assert (await entry_of(tmp_path, pair("llama.pooling_type", scalar(INT32, -1)))).kind is ModelKind.TEXT
    assert (
        await entry_of(tmp_path, pair("llama.pooling_type", scalar(STRING, "mean")))
    ).kind is ModelKind.TEXT
