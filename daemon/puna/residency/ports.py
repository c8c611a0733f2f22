"""What the coordinator needs of the world, and what it gives to dialects."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from puna.domain.embedding import Embedding, EmbeddingRequest, Ranking, RankingRequest
from puna.domain.generation import GenerationEvent, GenerationRequest, Prompt
from puna.domain.memory import LoadPlan
from puna.domain.models import LoadedModel, ModelEntry, WorkerStatus
from puna.residency.ledger import Reading
from puna.residency.policy import Fit


class Worker(Protocol):
    """A child that runs one model. Called from the event loop only; nothing here blocks it."""

    @property
    def loaded(self) -> LoadedModel:
        """What the worker told when it was ready."""
        ...

    @property
    def status(self) -> WorkerStatus:
        """The last snapshot that the worker sent."""
        ...

    @property
    def is_alive(self) -> bool:
        """False once the child has ended or its pipe is closed."""
        ...

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """Yield the events of one request; the last is `Finished`.

        Closing the generator early aborts the request. Raises a `RequestError` or `WorkerDiedError`.
        """
        ...

    async def embed(self, request: EmbeddingRequest) -> Embedding:
        """Return the vectors of some texts. For embedding models only; errors as in `generate`."""
        ...

    async def rank(self, request: RankingRequest) -> Ranking:
        """Return how well documents answer a query. For rerankers only; errors as in `generate`."""
        ...

    async def count_tokens(self, prompt: Prompt) -> int:
        """Return the tokens of a prompt, whether or not it fits the context. Errors as in `generate`."""
        ...

    async def wait_end(self) -> str:
        """Return once the worker is gone, with how that came: `signal 9 (SIGKILL); its last words: ...`."""
        ...

    async def close(self) -> None:
        """End the child: asked first, killed after a bounded time. Idempotent."""
        ...


class Launcher(Protocol):
    """Starts workers."""

    async def launch(self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan) -> Worker:
        """Return a worker that has loaded the model as planned; `on_progress` gets 0 to 1.

        Raises `ModelLoadError`, as `WorkerDiedLoadingError` where the child died; no child is left behind then,
        nor on cancellation.
        """
        ...


class Memory(Protocol):
    """What the devices of this machine have, and what models need of it."""

    async def read(self) -> Sequence[Reading]:
        """Return what each device has now; the readings are some seconds old at most."""
        ...

    async def appraise(self, entry: ModelEntry) -> Fit:
        """Check the model's file, and return how the model could be loaded into some room.

        A model that runs elsewhere gets a plan that takes no place, whatever the room. Raises `ModelLoadError` for
        a file that cannot be run.
        """
        ...


class Catalogue(Protocol):
    """Everything that can be run. The methods read small files and run in a thread where they may block."""

    async def entries(self) -> Sequence[ModelEntry]:
        """Return all models, the built-in demo model first, the others by id."""
        ...

    async def find(self, name: str) -> ModelEntry:
        """Return the model with this id, or the GGUF file at this path, its header checked.

        Raises `ModelNotFoundError` with the nearest ids, and for a file that is no sound GGUF `ModelLoadError`, or
        `InvalidRequestError` where the name is its path.
        """
        ...
