"""Bodies and answers of the control API; `puna.client` writes and reads them."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.validation import BodySchema
from puna.keys.identity import Scope
from puna.keys.records import Key, NewKey, Organisation

_Name = Annotated[str, Meta(min_length=1, max_length=100)]


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
    organisation: str
    """The id of the default one."""
    models: tuple[ModelStatusReply, ...]


class StoppingReply(Struct, frozen=True):
    """Answer of POST /puna/v1/shutdown."""

    status: str = "stopping"
    at_most_s: float = 0.0
    """How long it may take, with what open requests get to finish."""


class CreateKeyBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/keys."""

    name: _Name
    organisation: str | None = None
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=len(Scope))] = (Scope.INFER,)


class CreateOrganisationBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/organisations."""

    name: _Name


class KeysReply(Struct, frozen=True):
    """Answer of GET /puna/v1/keys."""

    keys: tuple[Key, ...]


class FirstKeyReply(Struct, frozen=True):
    """Answer of POST /puna/v1/keys/first."""

    made: NewKey | None


class OrganisationsReply(Struct, frozen=True):
    """Answer of GET /puna/v1/organisations."""

    organisations: tuple[Organisation, ...]


CREATE_KEY = BodySchema(CreateKeyBody)
CREATE_ORGANISATION = BodySchema(CreateOrganisationBody)
