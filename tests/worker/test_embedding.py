"""The whole worker with tiny embedding models: what a request for vectors gets."""

import asyncio
import math
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fakes import tiny_embedders
from fakes.tiny_embedders import (
    CLS,
    CONTEXT,
    LAST,
    MEAN,
    NONE,
    WIDTH,
    write_decoding_embedder,
    write_embedder,
)
from puna.domain.embedding import EmbeddingInput, EmbeddingRequest, RankingRequest
from puna.domain.generation import ChatPrompt, GenerationRequest, TextPrompt, TokenPrompt
from puna.domain.models import ModelEntry, ModelKind
from puna.engine.remote import RemoteWorker
from puna.errors import ContextOverflowError, InvalidRequestError, ModelLoadError

StartWorker = Callable[..., Awaitable[RemoteWorker]]
TEXTS = ("the llama", "where is puna?", "grass", "a high plain is the puna of the llama", "llama")


def entry_of(path: Path, kind: ModelKind = ModelKind.EMBEDDING) -> ModelEntry:
    return ModelEntry(id=path.stem, name=path.stem, path=path, size_bytes=path.stat().st_size, kind=kind)


@pytest.fixture
async def embedder(start_worker: StartWorker, tmp_path: Path) -> RemoteWorker:
    return await start_worker(entry_of(write_embedder(tmp_path / "embedder.gguf")))


async def vectors_of(worker: RemoteWorker, *inputs: EmbeddingInput, **options: object) -> list[list[float]]:
    request = EmbeddingRequest(inputs=inputs, **options)  # type: ignore[arg-type] # options of the test
    embedding = await worker.embed(request)
    return [[number for (number,) in struct.iter_unpack("<f", vector)] for vector in embedding.vectors]


def near(expected: list[float]) -> object:
    return pytest.approx(expected, abs=1e-5)


async def test_it_tells_what_it_is(embedder: RemoteWorker) -> None:
    loaded = embedder.loaded
    assert (loaded.kind, loaded.embedding_length) == (ModelKind.EMBEDDING, WIDTH)
    assert (loaded.context_length, loaded.trained_context_length) == (CONTEXT, CONTEXT)
    assert (loaded.architecture, loaded.backend, loaded.threads) == ("bert", "CPU", 1)
    assert not loaded.has_chat_template


@pytest.mark.parametrize("pooling", [MEAN, CLS, LAST])
async def test_vectors_of_a_batch_are_those_of_single_requests(
    start_worker: StartWorker, tmp_path: Path, pooling: int
) -> None:
    worker = await start_worker(entry_of(write_embedder(tmp_path / "model.gguf", pooling=pooling)))
    together = await vectors_of(worker, *TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert await vectors_of(worker, text) == [near(vector)]
    assert len({tuple(vector) for vector in together}) == len(TEXTS)


@pytest.mark.parametrize("pooling", [MEAN, LAST])
async def test_a_decoder_embeds_too_and_keeps_nothing_of_the_input_before(
    start_worker: StartWorker, tmp_path: Path, pooling: int
) -> None:
    worker = await start_worker(entry_of(write_decoding_embedder(tmp_path / "model.gguf", pooling=pooling)))
    together = await vectors_of(worker, *TEXTS)
    assert [(await vectors_of(worker, text))[0] for text in TEXTS] == [near(vector) for vector in together]


@pytest.mark.parametrize("pooling", [MEAN, LAST])
async def test_a_decoder_takes_inputs_that_are_longer_than_a_batch(
    start_worker: StartWorker, tmp_path: Path, pooling: int
) -> None:
    path = write_decoding_embedder(tmp_path / "model.gguf", pooling=pooling, context=2048)
    worker = await start_worker(entry_of(path))
    assert worker.loaded.context_length == 2048
    first = "where is puna? " * 400
    (long,) = await vectors_of(worker, first)
    others = await vectors_of(worker, "grass", first, "the llama " + first, first + "grass")
    assert others[1] == near(long)
    assert len({tuple(vector) for vector in others}) == 4


async def test_only_the_last_token_of_a_decoder_matters_where_it_pools_so(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = await start_worker(entry_of(write_decoding_embedder(tmp_path / "model.gguf")))
    one, same, other = await vectors_of(worker, (9,), (9,), (8, 9))
    assert one == near(same)
    assert one != near(other)


@pytest.mark.parametrize("pooling", [None, NONE])
async def test_an_encoder_that_does_not_pool_gets_the_mean(
    start_worker: StartWorker, tmp_path: Path, pooling: int | None
) -> None:
    silent = await start_worker(entry_of(write_embedder(tmp_path / "silent.gguf", pooling=pooling)))
    mean = await start_worker(entry_of(write_embedder(tmp_path / "mean.gguf", pooling=MEAN)))
    assert await vectors_of(silent, "the llama") == [near((await vectors_of(mean, "the llama"))[0])]


async def test_inputs_of_one_request_share_a_decode(embedder: RemoteWorker) -> None:
    await vectors_of(embedder, *(f"llama {i}" for i in range(40)))
    assert embedder.status.steps == 1
    assert embedder.status.prompt_tokens > 80
    assert (embedder.status.busy_slots, embedder.status.waiting_requests) == (0, 0)


async def test_many_inputs_take_as_many_decodes_as_they_need(embedder: RemoteWorker) -> None:
    vectors = await vectors_of(embedder, *(["grass"] * 130))
    assert len(vectors) == 130
    assert embedder.status.steps == 3


async def test_a_short_request_does_not_wait_for_a_long_one(embedder: RemoteWorker) -> None:
    long = asyncio.create_task(vectors_of(embedder, *(["a high plain " * 20] * 1000)))
    await asyncio.sleep(0)
    assert len(await vectors_of(embedder, "llama")) == 1
    assert not long.done()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long


async def test_a_request_that_nobody_wants_stops(embedder: RemoteWorker) -> None:
    task = asyncio.create_task(vectors_of(embedder, *(["a high plain " * 20] * 10_000)))
    async with asyncio.timeout(60):
        while not embedder.status.busy_slots:
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await vectors_of(embedder, "llama")
    assert embedder.status.busy_slots == 0
    assert embedder.status.prompt_tokens < 10_000 * 62


async def test_vectors_have_length_one_unless_that_is_not_wanted(embedder: RemoteWorker) -> None:
    (plain,) = await vectors_of(embedder, "the llama", is_normalised=False)
    (unit,) = await vectors_of(embedder, "the llama")
    assert math.hypot(*unit) == pytest.approx(1, abs=1e-6)
    assert math.hypot(*plain) > 1.5
    assert unit == near([number / math.hypot(*plain) for number in plain])


async def test_dimensions_keep_the_first_components_at_length_one(embedder: RemoteWorker) -> None:
    (whole,) = await vectors_of(embedder, "the llama")
    (cut,) = await vectors_of(embedder, "the llama", dimensions=8)
    assert cut == near([number / math.hypot(*whole[:8]) for number in whole[:8]])


@pytest.mark.parametrize("dimensions", [0, WIDTH + 1])
async def test_dimensions_that_the_model_does_not_have_are_refused(
    embedder: RemoteWorker, dimensions: int
) -> None:
    with pytest.raises(InvalidRequestError, match=f"1 to {WIDTH}"):
        await vectors_of(embedder, "the llama", dimensions=dimensions)


async def test_an_input_beyond_the_context_is_refused_with_both_numbers(embedder: RemoteWorker) -> None:
    with pytest.raises(ContextOverflowError, match=rf"Input 2 of 2 has 202 tokens.* takes {CONTEXT} at once"):
        await vectors_of(embedder, "llama", "llama " * 200)


async def test_truncation_cuts_the_end_and_keeps_the_closing_token(embedder: RemoteWorker) -> None:
    request = EmbeddingRequest(inputs=("llama " * 200,), is_truncated=True)
    embedding = await embedder.embed(request)
    assert embedding.prompt_tokens == CONTEXT
    (fitting,) = await vectors_of(embedder, "llama " * (CONTEXT - 2))
    assert await vectors_of(embedder, "llama " * 200, is_truncated=True) == [near(fitting)]


async def test_a_shorter_context_can_be_set(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = await start_worker(entry_of(write_embedder(tmp_path / "model.gguf")), context_length=16)
    assert worker.loaded.context_length == 16
    with pytest.raises(ContextOverflowError, match="takes 16 at once"):
        await vectors_of(worker, "llama " * 20)


async def test_tokens_are_taken_as_they_are(embedder: RemoteWorker) -> None:
    as_text, as_tokens = await vectors_of(embedder, "the llama", (2, 8, 5, 3))
    assert as_tokens == near(as_text)


@pytest.mark.parametrize("token", [-1, 10**6])
async def test_tokens_outside_the_vocabulary_are_refused(embedder: RemoteWorker, token: int) -> None:
    with pytest.raises(InvalidRequestError, match=rf"The input has the token {token}, .* 0 to \d+"):
        await vectors_of(embedder, (2, token, 3))


@pytest.mark.parametrize("empty", ["", ()])
async def test_an_empty_input_is_refused(embedder: RemoteWorker, empty: EmbeddingInput) -> None:
    with pytest.raises(InvalidRequestError, match="Input 2 of 2 is empty"):
        await vectors_of(embedder, "llama", empty)


async def test_no_inputs_are_no_vectors(embedder: RemoteWorker) -> None:
    assert await vectors_of(embedder) == []


async def test_tokens_are_counted(embedder: RemoteWorker) -> None:
    assert await embedder.count_tokens(TextPrompt("the llama")) == 4
    assert await embedder.count_tokens(TokenPrompt((2, 3))) == 2
    with pytest.raises(InvalidRequestError, match="embedding model"):
        await embedder.count_tokens(ChatPrompt(()))


async def test_an_embedding_model_does_not_generate_and_does_not_rank(embedder: RemoteWorker) -> None:
    with pytest.raises(InvalidRequestError, match="does not generate"):
        await anext(embedder.generate(GenerationRequest(prompt=TextPrompt("Once"))))
    with pytest.raises(InvalidRequestError, match="choose a reranker"):
        await embedder.rank(RankingRequest(query="llama", documents=("grass",)))
    assert len(await vectors_of(embedder, "still there")) == 1


async def test_a_text_model_does_not_embed(worker: RemoteWorker) -> None:
    with pytest.raises(InvalidRequestError, match="text model"):
        await worker.embed(EmbeddingRequest(inputs=("llama",)))


async def test_a_t5_encoder_says_that_it_cannot_be_run(start_worker: StartWorker, tmp_path: Path) -> None:
    path = tiny_embedders.write_t5_encoder(tmp_path / "t5.gguf")
    with pytest.raises(ModelLoadError, match=r"t5\.gguf is a T5 encoder"):
        await start_worker(entry_of(path))


async def test_a_model_of_another_kind_than_its_entry_says_so(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    path = write_embedder(tmp_path / "model.gguf")
    with pytest.raises(ModelLoadError, match="does not pool as its kind"):
        await start_worker(entry_of(path, ModelKind.RERANKER))
