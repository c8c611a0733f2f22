"""Looks at an engine, and makes the worker of one of its models."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from puna.domain.embedding import EmbeddingRequest
from puna.domain.models import LoadedModel, ModelKind
from puna.domain.remote import RemoteModel
from puna.engine.upstream import failures
from puna.engine.upstream.brands import Brand, brand_of
from puna.engine.upstream.http import UpstreamHttp
from puna.engine.upstream.key import KeySource
from puna.engine.upstream.passage import note_passed
from puna.engine.upstream.replies import ModelFields, ModelsReply
from puna.engine.upstream.worker import UpstreamWorker
from puna.errors import ModelLoadError, PunaError

_Fields = TypeVar("_Fields", ModelsReply, ModelFields)
_LOOK_TIMEOUT_S = 30.0
_SHOWN_MODELS = 5
_models = msgspec.json.Decoder(ModelsReply)
_model = msgspec.json.Decoder(ModelFields)


class UpstreamLauncher:
    """The `Launcher` of `puna.residency.ports` for remote models."""

    def __init__(self, keys: KeySource, *, instance: str) -> None:
        """`instance` names this start of Puna, for engines that are Punas too."""
        self._keys = keys
        self._instance = instance

    async def launch(self, remote: RemoteModel, on_progress: Callable[[float], None]) -> UpstreamWorker:
        """Return a worker once the engine answers and has the model; an embedding model embeds a word first.

        Raises `ModelLoadError`, whatever is wrong; no connection is left open then, nor on cancellation.
        """
        note_passed(())  # it is loaded for all that want it, not for the request whose turn began the load
        key = await asyncio.to_thread(self._keys.read, remote)
        http = UpstreamHttp(remote, key, instance=self._instance)
        try:
            on_progress(0.0)
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                worker = await _look(http, remote)
            on_progress(1.0)
        except BaseException as error:
            await http.close()
            match error:
                case ModelLoadError():
                    raise
                case PunaError():
                    raise ModelLoadError(error.message, retry_after_s=error.retry_after_s) from None
                case TimeoutError():
                    raise ModelLoadError(failures.too_late(_LOOK_TIMEOUT_S, remote).message) from None
            raise
        return worker


async def _look(http: UpstreamHttp, remote: RemoteModel) -> UpstreamWorker:
    found = await _find(http, remote)
    brand = brand_of(found.owned_by)
    named = replace(remote, model=found.id)
    loaded = describe(found, named, brand)
    worker = UpstreamWorker(http, named, brand, loaded)
    if remote.kind is ModelKind.EMBEDDING:
        (vector,) = (await worker.embed(EmbeddingRequest(inputs=("a",)))).vectors
        return UpstreamWorker(http, named, brand, replace(loaded, embedding_length=len(vector) // 4))
    return worker


async def _find(http: UpstreamHttp, remote: RemoteModel) -> ModelFields:
    """Return the model that the settings name, or the only one. Raises `ModelLoadError`."""
    models = _decode(_models, await http.get("models"), remote).data
    if not remote.model:
        if len(models) == 1:
            return models[0]
        raise ModelLoadError(
            f"The engine of {remote.name} has {_list(models)}; say which one as model in remote_models."
        )
    listed = next((each for each in models if each.id == remote.model), None)
    return listed or await _ask_for(http, remote, models)


async def _ask_for(http: UpstreamHttp, remote: RemoteModel, models: Sequence[ModelFields]) -> ModelFields:
    """Engines know names that they do not list: aliases, adapters, whatever a proxy passes on."""
    try:
        found = _decode(_model, await http.get(f"models/{remote.model}"), remote)
    except PunaError:
        raise ModelLoadError(
            f"The engine of {remote.name} has no model {remote.model}; it has {_list(models)}. "
            "Correct model in remote_models."
        ) from None
    return replace(found, id=remote.model)


def _decode(decoder: msgspec.json.Decoder[_Fields], content: bytes, remote: RemoteModel) -> _Fields:
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise failures.odd_answer("something that is no list of models", remote) from None


def _list(models: Sequence[ModelFields]) -> str:
    if not models:
        return "no models"
    shown = ", ".join(each.id[:100] for each in models[:_SHOWN_MODELS])
    more = len(models) - _SHOWN_MODELS
    return f"{shown} and {more} more" if more > 0 else shown


def describe(found: ModelFields, remote: RemoteModel, brand: Brand) -> LoadedModel:
    """Return what is known of a remote model; what an engine does not tell is 0."""
    meta = found.meta
    engine = "an OpenAI-compatible engine" if brand is Brand.OTHER else _NAMES[brand]
    return LoadedModel(
        architecture="",
        description=f"{remote.model} on {engine} at {remote.origin}",
        n_parameters=(meta and meta.n_params) or 0,
        size_bytes=0,
        context_length=remote.context_length or found.request_tokens,
        trained_context_length=(meta and meta.n_ctx_train) or found.request_tokens,
        total_cells=0,
        slots=remote.slots,
        threads=0,
        gpu_layers=0,
        backend="remote",
        backend_reason=f"remote_models says that it runs at {remote.origin}",
        has_chat_template=remote.kind is ModelKind.TEXT,
        kind=remote.kind,
        can_think=remote.can_think,
        can_infill=remote.can_infill,
    )


_NAMES = {
    Brand.PUNA: "Puna",
    Brand.VLLM: "vLLM",
    Brand.SGLANG: "SGLang",
    Brand.LLAMA_SERVER: "llama-server",
}
