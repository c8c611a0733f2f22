"""The one door from dialects to models: it checks that the sender may use a name before anybody looks for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from puna.api.context import Context
from puna.domain.models import ModelEntry, ModelKind
from puna.errors import ModelNotFoundError, PunaError
from puna.keys.identity import Identity, Scope
from puna.models.names import path_in
from puna.residency.lease import Lease


@asynccontextmanager
async def acquire_model(
    context: Context,
    identity: Identity,
    name: str | None,
    *,
    kind: ModelKind = ModelKind.TEXT,
    keep_alive_s: float | None = None,
) -> AsyncIterator[Lease]:
    """Hold a model in memory, the current or the default one without a name. As `Coordinator.acquire`."""
    check_model_name(name, identity)
    async with context.residency.acquire(name or None, kind=kind, keep_alive_s=keep_alive_s) as lease:
        if name:
            _check_owner(context, identity, lease.entry)
        yield lease


async def find_model(context: Context, identity: Identity, name: str) -> ModelEntry:
    """Return what the catalogue has under a name. Errors as `Catalogue.find`."""
    check_model_name(name, identity)
    entry = await context.catalogue.find(name)
    _check_owner(context, identity, entry)
    return entry


async def find_current_base(context: Context) -> ModelEntry:
    """Return the current model, else the default one; the base where it is an adapter. Errors as `Catalogue.find`."""
    current = context.residency.current
    entry = await context.catalogue.find(current.entry.resident_id if current else context.settings.model)
    return await context.catalogue.find(entry.base) if entry.base else entry


async def list_models(context: Context, identity: Identity) -> dict[str, ModelEntry]:
    """Return every model under the name that requests use: those of the catalogue, those in memory, the nicknames.

    Adapters of other organisations are not among them.
    """
    entries = await context.catalogue.entries()
    models = {entry.id: entry for entry in entries if may_use_model(context, identity, entry)}
    # A model that was loaded by its path stands in no folder, and is there all the same.
    models.update((resident.entry.id, resident.entry) for resident in context.residency.residents())
    for name in context.nicknames:
        # One whose file is gone is left out.
        with suppress(PunaError):
            models[name] = await find_model(context, identity, name)
    return models


def may_use_model(context: Context, identity: Identity, entry: ModelEntry) -> bool:
    """Return whether a model is for the sender.

    An adapter that was trained with a key is for the key's organisation, and for who manages; all else is for all.
    """
    record = context.adapters.find(entry.id) if entry.adapter else None
    if record is None or record.organisation_id is None:
        return True
    return identity.may_use(record.organisation_id) or identity.may(Scope.MANAGE)


def _check_owner(context: Context, identity: Identity, entry: ModelEntry) -> None:
    if not may_use_model(context, identity, entry):
        raise ModelNotFoundError(f"There is no model {entry.id}; `puna ls` shows those that there are.")


def check_model_name(name: str | None, identity: Identity) -> None:
    """Let ids pass, and paths of those who manage models.

    For others a path is no model, whether or not there is a file: what lies on this disk is not theirs to learn.
    Raises `ModelNotFoundError`.
    """
    if name and not identity.may(Scope.MANAGE) and path_in(name) is not None:
        raise ModelNotFoundError("There is no such model; to name a file by its path needs the scope manage.")
