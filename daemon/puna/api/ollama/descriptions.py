"""Models as Ollama lists and shows them. Pure."""

import hashlib
from datetime import UTC, datetime, timedelta

from msgspec import UNSET, UnsetType

from puna.api.ollama.answers import to_timestamp
from puna.api.ollama.replies import DetailsReply, ProcessReply, ShowReply, TagReply
from puna.domain.models import LoadedModel, ModelEntry, ModelKind

FOR_EVER = timedelta(days=292 * 365)
"""How far off Ollama sets the end of a model that stays."""


def to_tag(name: str, entry: ModelEntry) -> TagReply:
    """Return a model in the list, under a name."""
    return TagReply(
        name=name,
        model=name,
        modified_at=to_timestamp(_modified_at(entry)),
        size=entry.size_bytes,
        digest=to_digest(entry),
        details=to_details(entry),
    )


def to_process(
    name: str, entry: ModelEntry, loaded: LoadedModel, idle_s_left: float | None, now: datetime
) -> ProcessReply:
    """Return a model in memory."""
    stays = FOR_EVER if idle_s_left is None else timedelta(seconds=idle_s_left)
    return ProcessReply(
        name=name,
        model=name,
        size=loaded.size_bytes,
        digest=to_digest(entry),
        details=to_details(entry),
        expires_at=to_timestamp(now + stays),
        size_vram=_on_gpu_bytes(loaded),
        context_length=loaded.context_length,
    )


def to_show(name: str, entry: ModelEntry, loaded: LoadedModel | None) -> ShowReply:
    """Return what is known of a model; more where it is loaded."""
    return ShowReply(
        license=entry.licence or UNSET,
        modelfile=f"FROM {name}\n",
        parameters=_to_parameters(loaded),
        template=entry.chat_template or "",
        details=to_details(entry),
        model_info=to_model_info(entry),
        capabilities=to_capabilities(entry),
        modified_at=to_timestamp(_modified_at(entry)),
    )


def to_details(entry: ModelEntry) -> DetailsReply:
    """Return what a model is, in a few words."""
    architecture = _architecture_of(entry)
    return DetailsReply(
        parent_model=entry.base,
        family=architecture,
        families=(architecture,),
        parameter_size=to_size(entry.parameter_count),
        quantization_level=entry.quantisation,
    )


def to_model_info(entry: ModelEntry) -> dict[str, str | int]:
    """Return what clients look for among the keys of a GGUF header; the whole header is not kept.

    The architecture is always there: Ollama's command line ends with a stack trace without it.
    """
    architecture = _architecture_of(entry)
    known: dict[str, str | int] = {
        "general.architecture": architecture,
        "general.basename": entry.id,
        "general.name": entry.name,
        "general.parameter_count": entry.parameter_count,
        f"{architecture}.context_length": entry.context_length,
        f"{architecture}.embedding_length": entry.embedding_length,
    }
    return {key: value for key, value in known.items() if value}


def to_capabilities(entry: ModelEntry) -> tuple[str, ...]:
    """Return what a model was trained for, in Ollama's words.

    Tools are among them where the model's template shows them. Requests with tools are served in any case.
    """
    if entry.kind is not ModelKind.TEXT:
        return ("embedding",) if entry.kind is ModelKind.EMBEDDING else ()
    further = {"tools": entry.can_call_tools, "thinking": entry.can_think, "insert": entry.can_infill}
    return ("completion", *(name for name, is_there in further.items() if is_there))


def to_digest(entry: ModelEntry) -> str:
    """Return 64 digits that change with the file. Not a hash of its content: that would mean to read all of it."""
    facts = f"{entry.id}\0{entry.size_bytes}\0{entry.modified_s}"
    return hashlib.sha256(facts.encode("utf-8", "replace")).hexdigest()


def to_size(count: int) -> str:
    """Return a number of parameters as Ollama writes it: `1.2B`."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def _on_gpu_bytes(loaded: LoadedModel) -> int:
    """Return how much of a model is on the GPU, by its layers; all of it where their number is not known."""
    if loaded.gpu_layers < loaded.layers:
        return loaded.size_bytes * loaded.gpu_layers // loaded.layers
    return loaded.size_bytes if loaded.gpu_layers else 0


def _architecture_of(entry: ModelEntry) -> str:
    """Return the architecture; of a remote model nobody knows it."""
    return entry.architecture or "unknown"


def _to_parameters(loaded: LoadedModel | None) -> str | UnsetType:
    return UNSET if loaded is None else f"num_ctx {loaded.context_length}"


def _modified_at(entry: ModelEntry) -> datetime:
    return datetime.fromtimestamp(entry.modified_s, UTC)
