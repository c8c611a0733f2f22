"""Models: what is known from the file, and what is known once it runs."""

from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from puna.domain.model_kind import ModelKind as ModelKind  # noqa: PLC0414 - it belongs to this module's names
from puna.domain.remote import RemoteModel


class ModelSource(StrEnum):
    """Where the catalogue has a model from, which says who may remove it and how."""

    DEMO = "demo"
    """Built in."""
    HUB = "hub"
    """The Hub's cache, which other programs share."""
    FOLDER = "folder"
    """A folder of the setting `model_folders`; nothing there is touched."""
    LM_STUDIO = "lm-studio"
    LLAMA_CPP = "llama.cpp"
    ADDED = "added"
    """A file that was added by its path, and is remembered."""
    NAMED = "named"
    """A file that a request named by its path; listed until the daemon stops."""
    REMOTE = "remote"
    """The setting `remote_models`; it has no file."""
    ADAPTER = "adapter"
    """Fine-tuned here: an adapter on another model."""


class ModelEntry(Struct, frozen=True, kw_only=True):
    """One model that can be run, as the catalogue lists it."""

    id: str
    """The name that requests use; unique in the catalogue."""
    name: str
    """For people, from `general.name` or the file name."""
    path: Path | None = None
    """The file, the first one of a model in parts; None for a remote model."""
    size_bytes: int
    description: str = ""
    architecture: str = ""
    context_length: int = 0
    """Tokens that the model was trained for; 0 where the file does not say."""
    kind: ModelKind = ModelKind.TEXT
    parameter_count: int = 0
    quantisation: str = ""
    """Such as `Q4_K_M`."""
    embedding_length: int = 0
    """Components of a token's vector; for embedding models, of the text's."""
    can_think: bool = False
    """Whether the chat template speaks of reasoning."""
    can_call_tools: bool = False
    """Whether the chat template shows tools; where it does not, Puna describes them in a system message."""
    can_infill: bool = False
    """Whether the vocabulary has the tokens for a gap in the text."""
    chat_template: str | None = None
    modified_s: float = 0.0
    """When the file was changed last, in seconds since 1970."""
    source: ModelSource = ModelSource.FOLDER
    files: tuple[Path, ...] = ()
    """All files of a model in parts, the first one included."""
    projector: Path | None = None
    """The file (`mmproj`) that lets the model take images or sound."""
    projector_size_bytes: int = 0
    """Not included in `size_bytes`."""
    licence: str = ""
    """What the file says, such as `apache-2.0`."""
    remote: RemoteModel | None = None
    """Where the model runs, if not here; it takes no memory of this machine then."""
    adapter: Path | None = None
    """The file of the LoRA adapter, where the model is one: it answers in the memory of its base."""
    base: str = ""
    """The id of the model that the adapter was trained on; empty for all others."""
    adapter_sizes: tuple[int, ...] = ()
    """Bytes of each adapter that may be put on this model, as far as who looked it up wants to load it."""

    @property
    def resident_id(self) -> str:
        """The id of the model that is in memory when this one answers: an adapter's base, else its own."""
        return self.base or self.id


class ModelState(StrEnum):
    """Where a model stands."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Device(Struct, frozen=True):
    """One compute device that llama.cpp sees. Sizes in bytes."""

    name: str
    description: str
    kind: str
    """`cpu`, `gpu`, `igpu` or `accel`, as ggml names them."""
    memory_total_bytes: int
    memory_free_bytes: int


class LoadedModel(Struct, frozen=True, kw_only=True):
    """What a worker tells about the model that it runs."""

    architecture: str
    description: str
    """llama.cpp's own line, such as `llama 5M Q8_0`."""
    n_parameters: int
    size_bytes: int
    context_length: int
    """Tokens that one request may use, prompt and text together."""
    trained_context_length: int
    total_cells: int
    """Tokens that all requests and the prefix cache share."""
    slots: int
    threads: int
    gpu_layers: int
    backend: str
    """Where it runs: `CPU`, `CUDA`, `Metal`, `Vulkan`, ..."""
    backend_reason: str
    """Why there and nowhere better."""
    layers: int = 0
    """Of the model, its output layer among them; 0 where that is not known."""
    has_chat_template: bool
    kind: ModelKind = ModelKind.TEXT
    embedding_length: int = 0
    """Components of a vector, where the model embeds."""
    can_think: bool = False
    """Whether the chat template speaks of reasoning."""
    can_infill: bool = False
    """Whether the model takes an `InfillPrompt`."""
    devices: tuple[Device, ...] = ()
    load_s: float = 0.0


class WorkerStatus(Struct, frozen=True, kw_only=True):
    """A snapshot of a worker, sent when it changes."""

    busy_slots: int = 0
    waiting_requests: int = 0
    cached_sequences: int = 0
    used_cells: int = 0
    threads: int = 0
    prompt_tokens: int = 0
    """Prompt tokens computed since the load; those from the prefix cache are not counted."""
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
