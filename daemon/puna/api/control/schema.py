"""Answers of the control API; `puna.client` reads them."""

from msgspec import Struct


class ModelStatusReply(Struct, frozen=True, kw_only=True):
    """One model in memory or on its way there. What is known only of a loaded one is null before."""

    id: str
    name: str
    state: str
    progress: float
    error: str | None
    is_current: bool
    slots: int | None
    busy_slots: int
    waiting_requests: int
    context_length: int | None
    threads: int | None
    gpu_layers: int | None
    backend: str | None
    backend_reason: str | None
    used_cells: int
    total_cells: int | None
    cached_sequences: int
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    load_s: float | None


class StatusReply(Struct, frozen=True, kw_only=True):
    """Answer of GET /puna/v1/status."""

    instance: str
    version: str
    pid: int
    uptime_s: float
    address: str
    requests: int
    open_requests: int
    models: tuple[ModelStatusReply, ...]


class StoppingReply(Struct, frozen=True):
    """Answer of POST /puna/v1/shutdown."""

    status: str = "stopping"
