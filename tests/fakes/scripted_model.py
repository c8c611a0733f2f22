"""A model that says what a test wrote for it, behind the ports of the real coordinator."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fakes.fake_worker import LOADED as FAKE_LOADED
from puna.domain.embedding import Embedding, EmbeddingInput, EmbeddingRequest, Ranking, RankingRequest
from puna.domain.generation import (
    ChatPrompt,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    OutputEvent,
    Prompt,
    ReasoningDelta,
    Started,
    TextDelta,
    TextPrompt,
    Usage,
)
from puna.domain.memory import LoadPlan
from puna.domain.models import LoadedModel, ModelEntry, ModelKind, ModelSource, WorkerStatus
from puna.errors import InvalidRequestError, ModelLoadError, ModelNotFoundError
from puna.hub.names import HubReference, parse_reference
from puna.models.catalogue import Overview
from puna.models.known import Wanted
from puna.models.listing import UnusableFile

LOADED = msgspec.structs.replace(
    FAKE_LOADED,
    architecture="llama",
    description="llama 5M Q8_0",
    n_parameters=5_000_000,
    size_bytes=5_300_000,
    context_length=2048,
    trained_context_length=2048,
    total_cells=4096,
    slots=8,
    backend_reason="no GPU was found",
    has_chat_template=True,
)


class Script(Struct, frozen=True, kw_only=True):
    """What the model does with one request."""

    deltas: tuple[str | OutputEvent, ...] = ("Hello", " world")
    """A text is a `TextDelta`."""
    failure: Exception | None = None
    """Raised after the deltas, in place of an end."""
    is_stalled: bool = False
    """Whether nothing more comes after the deltas, until the request is given up."""
    reason: FinishReason = FinishReason.STOP
    prompt_tokens: int = 5

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def events(self) -> tuple[OutputEvent, ...]:
        return tuple(TextDelta(each) if isinstance(each, str) else each for each in self.deltas)

    @property
    def usage(self) -> Usage:
        thoughts = sum(isinstance(each, ReasoningDelta) for each in self.deltas)
        return Usage(self.prompt_tokens, len(self.deltas), reasoning_tokens=thoughts)


class ScriptedWorker:
    """Follows the script of its launcher; knows how many requests run, and how many were given up."""

    def __init__(self, loaded: LoadedModel, script_of: Callable[[GenerationRequest], Script]) -> None:
        self.loaded = loaded
        self.is_alive = True
        self.script_of = script_of
        self.requests: list[GenerationRequest] = []
        self.embedded: list[EmbeddingRequest] = []
        self.ranked: list[RankingRequest] = []
        self.counted: list[Prompt] = []
        self.running = 0
        self.most_at_once = 0
        self.aborted = 0

    @property
    def status(self) -> WorkerStatus:
        return WorkerStatus(busy_slots=self.running, threads=1, completion_tokens=7)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        script = self.script_of(request)
        self.requests.append(request)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        is_over = False
        try:
            for number, event in enumerate(script.events):
                # One turn of the loop, so that requests which can run together do.
                await asyncio.sleep(0)
                if not number:
                    yield Started(script.prompt_tokens)
                yield event
            if script.is_stalled:
                await asyncio.Event().wait()
            is_over = True
            if script.failure is not None:
                raise script.failure
            yield Finished(script.reason, script.usage)
        finally:
            self.running -= 1
            self.aborted += not is_over

    async def embed(self, request: EmbeddingRequest) -> Embedding:
        """Give each input its length and its first code point or token, and as many zeros as the model is wide."""
        self.embedded.append(request)
        size = request.dimensions or self.loaded.embedding_length
        vectors = [
            [float(len(each)), float(ord(each[0]) if isinstance(each, str) else each[0])]
            for each in request.inputs
        ]
        packed = tuple(struct.pack(f"<{size}f", *(vector + [0.0] * size)[:size]) for vector in vectors)
        return Embedding(packed, 5 * len(request.inputs))

    async def rank(self, request: RankingRequest) -> Ranking:
        """Find that a document answers a query as far as it has its words."""
        self.ranked.append(request)
        words = set(request.query.lower().split())
        scores = [len(words & set(each.lower().split())) / len(words) for each in request.documents]
        return Ranking(tuple(scores), 5 * len(request.documents))

    async def count_tokens(self, prompt: Prompt) -> int:
        self.counted.append(prompt)
        return 5

    async def wait_end(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        self.is_alive = False


def _first(text: EmbeddingInput) -> int:
    return ord(text[0]) if isinstance(text, str) else text[0]


class ScriptedLauncher:
    """Starts scripted workers. `script` may be changed between requests, or made to depend on them."""

    def __init__(self) -> None:
        self.script: Script | Callable[[GenerationRequest], Script] = Script()
        self.loaded = LOADED
        self.broken: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.worker = ScriptedWorker(LOADED, self._script_of)

    async def launch(
        self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan
    ) -> ScriptedWorker:
        on_progress(0.25)
        await self.gate.wait()
        if entry.id in self.broken:
            raise ModelLoadError(self.broken[entry.id])
        loaded = msgspec.structs.replace(
            self.loaded, kind=entry.kind, embedding_length=entry.embedding_length
        )
        self.worker = ScriptedWorker(loaded, self._script_of)
        return self.worker

    def _script_of(self, request: GenerationRequest) -> Script:
        return self.script if isinstance(self.script, Script) else self.script(request)


class ListedCatalogue:
    """Knows the models that a test names."""

    def __init__(self, *ids: str, nicknames: Mapping[str, str] = MappingProxyType({})) -> None:
        self.known = {name: entry_of(name) for name in ids}
        self._nicknames = nicknames

    async def entries(self) -> Sequence[ModelEntry]:
        return list(self.known.values())

    async def find(self, name: str) -> ModelEntry:
        name = self._nicknames.get(name, name)
        if name.endswith(".gguf"):
            return entry_of(Path(name).stem)
        if name not in self.known:
            raise ModelNotFoundError(f"There is no model {name}; the nearest is demo.")
        return self.known[name]

    async def find_any(self, name: str) -> ModelEntry | UnusableFile:
        return await self.find(name)

    async def overview(self) -> Overview:
        return Overview(models=tuple(self.known.values()), unusable=(), offers=())

    def wanted(self, name: str) -> Wanted | None:
        reference = parse_reference(self._nicknames.get(name, name))
        return Wanted(reference) if reference else None

    def reference_of(self, name: str) -> HubReference | None:
        wanted = self.wanted(name)
        return wanted.download if wanted else None

    async def add(self, path: Path, name: str | None = None) -> ModelEntry:
        entry = entry_of(name or path.stem)
        self.known[entry.id] = replace(entry, path=path, files=(path,), source=ModelSource.ADDED)
        return self.known[entry.id]

    async def forget(self, name: str) -> str:
        entry = await self.find(name)
        if entry.source is not ModelSource.ADDED:
            raise InvalidRequestError(f"{name} is not Puna's; delete the file yourself.")
        return self.known.pop(name).id


def entry_of(model_id: str) -> ModelEntry:
    """Return an entry for a model that no file stands for; `embedder` and `reranker` are what they are called."""
    kind = {"embedder": ModelKind.EMBEDDING, "reranker": ModelKind.RERANKER}.get(model_id, ModelKind.TEXT)
    return ModelEntry(
        id=model_id,
        name=model_id.title(),
        path=Path(f"{model_id}.gguf"),
        size_bytes=5_300_000,
        description=f"the model {model_id}",
        architecture="llama",
        context_length=2048,
        kind=kind,
        parameter_count=5_000_000,
        quantisation="Q8_0",
        embedding_length=4 if kind is ModelKind.EMBEDDING else 256,
        can_think=model_id == "thinker",
        can_call_tools=model_id == "thinker",
        chat_template="{{ messages }}" if kind is ModelKind.TEXT else None,
        modified_s=1_767_323_045.0,
    )


def text_of(request: GenerationRequest) -> str:
    """Return the prompt of a request, or the last turn of its conversation."""
    match request.prompt:
        case TextPrompt(text):
            return text
        case ChatPrompt(messages):
            return messages[-1].content
        case _:
            raise AssertionError(request.prompt)
