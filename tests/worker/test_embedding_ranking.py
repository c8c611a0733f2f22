"""The whole worker with tiny rerankers: how documents are ranked."""

import math
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fakes.tiny_embedders import CONTEXT, write_decoding_reranker, write_reranker
from puna.domain.embedding import EmbeddingRequest, Ranking, RankingRequest
from puna.domain.models import ModelEntry, ModelKind
from puna.engine.remote import RemoteWorker
from puna.errors import ContextOverflowError, InvalidRequestError

StartWorker = Callable[..., Awaitable[RemoteWorker]]
DOCUMENTS = ("the llama eats grass", "a high plain", "", "puna")


def entry_of(path: Path) -> ModelEntry:
    return ModelEntry(id="r", name="r", path=path, size_bytes=1, kind=ModelKind.RERANKER)


@pytest.fixture
async def reranker(start_worker: StartWorker, tmp_path: Path) -> RemoteWorker:
    return await start_worker(entry_of(write_reranker(tmp_path / "reranker.gguf")))


async def rank(worker: RemoteWorker, query: str, *documents: str, is_truncated: bool = True) -> Ranking:
    return await worker.rank(RankingRequest(query=query, documents=documents, is_truncated=is_truncated))


async def test_every_document_gets_a_score_in_its_place(reranker: RemoteWorker) -> None:
    scores = (await rank(reranker, "what eats grass?", *DOCUMENTS)).scores
    assert len(set(scores)) == len(DOCUMENTS)
    assert all(0 < score < 1 for score in scores)
    for document, score in zip(DOCUMENTS, scores, strict=True):
        (alone,) = (await rank(reranker, "what eats grass?", document)).scores
        assert alone == pytest.approx(score, abs=1e-5)


async def test_documents_share_a_decode(reranker: RemoteWorker) -> None:
    await rank(reranker, "llama", *DOCUMENTS)
    assert reranker.status.steps == 1


async def test_a_pair_is_what_the_vocabulary_wants_around_it(reranker: RemoteWorker) -> None:
    """[CLS] query [SEP] document, as llama.cpp's server makes it for a vocabulary that adds no end."""
    assert (await rank(reranker, "llama", "the puna")).prompt_tokens == 1 + 1 + 1 + 2


async def test_a_template_of_the_model_goes_before_that(start_worker: StartWorker, tmp_path: Path) -> None:
    path = write_reranker(tmp_path / "model.gguf", template="[CLS] a {query} of {document} [SEP]")
    worker = await start_worker(entry_of(path))
    assert (await rank(worker, "llama", "the puna")).prompt_tokens == 7
    long = await rank(worker, "llama", "puna " * 500)
    assert long.prompt_tokens == CONTEXT


async def test_several_outputs_become_the_chance_of_the_first(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = await start_worker(entry_of(write_reranker(tmp_path / "model.gguf", outputs=2)))
    scores = (await rank(worker, "what eats grass?", *DOCUMENTS)).scores
    assert all(0 < score < 1 for score in scores)
    assert not any(math.isnan(score) for score in scores)


async def test_a_decoder_that_says_yes_or_no_ranks_too(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = await start_worker(entry_of(write_decoding_reranker(tmp_path / "model.gguf")))
    scores = (await rank(worker, "what eats grass?", *DOCUMENTS)).scores
    assert all(0 < score < 1 for score in scores)
    assert len(set(scores)) == len(DOCUMENTS)
    for document, score in zip(DOCUMENTS, scores, strict=True):
        (alone,) = (await rank(worker, "what eats grass?", document)).scores
        assert alone == pytest.approx(score, abs=1e-3)


async def test_a_document_that_does_not_fit_is_cut_or_refused(reranker: RemoteWorker) -> None:
    cut = await rank(reranker, "llama", "puna " * 500)
    assert cut.prompt_tokens == CONTEXT
    with pytest.raises(ContextOverflowError, match=rf"Document 2 has 503 tokens .* takes {CONTEXT} at once"):
        await rank(reranker, "llama", "puna", "puna " * 500, is_truncated=False)


async def test_a_query_that_leaves_no_room_is_refused(reranker: RemoteWorker) -> None:
    with pytest.raises(ContextOverflowError, match=rf"query takes 302 tokens, .* {CONTEXT} at once"):
        await rank(reranker, "llama " * 300, "puna")


async def test_an_empty_query_is_refused(reranker: RemoteWorker) -> None:
    with pytest.raises(InvalidRequestError, match="query is empty"):
        await rank(reranker, "", "puna")


async def test_a_reranker_does_not_embed(reranker: RemoteWorker) -> None:
    with pytest.raises(InvalidRequestError, match="choose an embedding model"):
        await reranker.embed(EmbeddingRequest(inputs=("llama",)))
