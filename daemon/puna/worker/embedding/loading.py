"""Builds the engine of an embedding model or a reranker around its weights."""

from pathlib import Path

from msgspec.structs import replace

from puna.domain.memory import LONGEST_INPUT
from puna.domain.models import LoadedModel, ModelKind
from puna.engine.protocol import Load
from puna.errors import ModelLoadError
from puna.llama.batch import Batch
from puna.llama.context import Context, DecodeResult
from puna.llama.model import Model
from puna.llama.pooling import Pooling
from puna.llama.special_tokens import read_special_tokens
from puna.worker.embedding.engine import BATCH_INPUTS, EmbeddingEngine
from puna.worker.embedding.plan import plan_batch_tokens, plan_length
from puna.worker.embedding.preparation import InputPreparer
from puna.worker.embedding.runner import InputRunner
from puna.worker.embedding.service import EmbeddingService
from puna.worker.embedding.tokenizer import InputTokenizer, PairTokenizer
from puna.worker.governor import CpuMonitor, start_governor
from puna.worker.outbox import Outbox
from puna.worker.placement import Placement, describe

_PROBE_TOKENS = 8


def build_embedding_service(
    message: Load, placement: Placement, outbox: Outbox, monitor: CpuMonitor
) -> tuple[EmbeddingService, LoadedModel]:
    """Return what serves the model, and what it tells of itself but for the time of its load.

    Raises `ModelLoadError` for a model that cannot be run so, `LlamaError` when memory does not allow it.
    """
    model = placement.model
    pooling = _choose_pooling(message, model)
    limit = plan_length(trained=model.n_ctx_train, wanted=message.context_length, default=LONGEST_INPUT)
    batch_tokens = plan_batch_tokens(n_vocab=model.vocabulary.n_tokens)
    governor = start_governor(monitor, fixed=message.threads)
    batch = Batch(batch_tokens if model.pools_last else max(limit, batch_tokens))
    context = Context(
        model,
        n_ctx=max(limit, batch_tokens),
        n_batch=batch.capacity,
        n_seq_max=BATCH_INPUTS,
        n_threads=governor.threads,
        n_outputs_max=BATCH_INPUTS if model.pools_last else batch.capacity,
        pooling=pooling,
    )
    size = model.n_cls_out if pooling is Pooling.RANK else model.n_embd_out
    runner = InputRunner(context, batch, governor, monitor, pooled_size=size, pools_last=model.pools_last)
    _probe(runner, message)
    service = EmbeddingService(
        message.kind,
        EmbeddingEngine(runner, outbox, slots=message.slots, batch_tokens=batch_tokens),
        _build_preparer(message.kind, model, limit),
    )
    loaded = describe(message, placement, context, context_length=limit, threads=governor.threads)
    return service, replace(loaded, embedding_length=model.n_embd_out)


def _choose_pooling(message: Load, model: Model) -> Pooling:
    """Take what the file says; one that does not pool gets the mean, which most models were trained for."""
    name = Path(message.path).name
    if model.has_encoder:
        raise ModelLoadError(
            f"{name} is a T5 encoder, which Puna cannot run; choose an embedding model such as BERT or one of its kin."
        )
    is_ranker = model.pooling is Pooling.RANK
    if is_ranker != (message.kind is ModelKind.RERANKER):
        raise ModelLoadError(
            f"{name} does not pool as its kind ({message.kind}) needs; convert the model again."
        )
    if is_ranker and model.n_cls_out < 1:
        raise ModelLoadError(f"{name} has no classifier, so it cannot rank; convert the model again.")
    return model.pooling or Pooling.MEAN


def _probe(runner: InputRunner, message: Load) -> None:
    """Compute something: the weights are warm in memory then, and what cannot be computed fails now."""
    for _ in range(2):
        if runner.compute([[0] * _PROBE_TOKENS]).result is not DecodeResult.OK:
            raise ModelLoadError(
                f"{Path(message.path).name} computes no vectors with this llama.cpp; the worker's log says why."
            )


def _build_preparer(kind: ModelKind, model: Model, limit: int) -> InputPreparer:
    vocabulary, special = model.vocabulary, read_special_tokens(model.vocabulary)
    return InputPreparer(
        kind,
        InputTokenizer(vocabulary, special, limit=limit),
        PairTokenizer(vocabulary, special, limit=limit, template=model.chat_template("rerank")),
        embedding_length=model.n_embd_out,
    )
