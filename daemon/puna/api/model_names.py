"""The one door from dialects to models: it checks that the sender may use a name before anybody looks for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from puna.api.context import Context
from puna.domain.finetune import AdapterRecord
from puna.domain.models import ModelEntry, ModelKind
from puna.errors import ModelNotFoundError, PunaError
from puna.keys.identity import Identity, Scope
from puna.models.names import describe_unknown, path_in
from puna.residency.lease import Lease
from puna.residency.place import Resident


@asynccontextmanager
async def acquire_model(
    context: Context,
    identity: Identity,
    name: str | None,
    *,
    kind: ModelKind = ModelKind.TEXT,
    keep_alive_s: float | None = None,
) -> AsyncIterator[Lease]:
    """Hold a model in memory, the current or the default one without a name. As `Coordinator.acquire`.

    Where that is an adapter that is not for the sender, a request without a name gets its base.
    """
    wanted = await _find_name(context, identity, name)
    async with context.residency.acquire(wanted, kind=kind, keep_alive_s=keep_alive_s) as lease:
        if not may_use_model(context, identity, lease.entry):
            raise await _no_model(context, identity, name or "current")
        yield lease


async def _find_name(context: Context, identity: Identity, name: str | None) -> str | None:
    """Return what to ask for, None for the current or the default model; nothing is loaded before it is allowed."""
    check_model_name(name, identity)
    if _may_use_all(context, identity):
        return name or None
    if name:
        await find_model(context, identity, name)
        return name
    current = context.residency.current
    entry = current.entry if current else await context.catalogue.find(context.settings.model)
    return None if may_use_model(context, identity, entry) else entry.resident_id


async def find_model(context: Context, identity: Identity, name: str) -> ModelEntry:
    """Return what the catalogue has under a name. Errors as `Catalogue.find`."""
    check_model_name(name, identity)
    try:
        entry = await context.catalogue.find(name)
    except ModelNotFoundError:
        if _may_use_all(context, identity):
            raise
        raise await _no_model(context, identity, name) from None
    if not may_use_model(context, identity, entry):
        raise await _no_model(context, identity, name)
    return entry


def find_current(context: Context, identity: Identity) -> Resident | None:
    """Return the current model as the sender may see it: an adapter that is not for them is its base."""
    current = context.residency.current
    if current is None or may_use_model(context, identity, current.entry):
        return current
    residents = context.residency.residents()
    return next((each for each in residents if each.entry.id == current.entry.resident_id), None)


async def find_current_base(context: Context) -> ModelEntry:
    """Return the current model, else the default one; the base where it is an adapter. Errors as `Catalogue.find`."""
    current = context.residency.current
    entry = await context.catalogue.find(current.entry.resident_id if current else context.settings.model)
    return await context.catalogue.find(entry.base) if entry.base else entry


async def list_models(context: Context, identity: Identity) -> dict[str, ModelEntry]:
    """Return every model under the name that requests use: those of the catalogue, those in memory, the nicknames.

    Adapters of other organisations are not among them.
    """
    models = {entry.id: entry for entry in await context.catalogue.entries()}
    # A model that was loaded by its path stands in no folder, and is there all the same.
    models.update((resident.entry.id, resident.entry) for resident in context.residency.residents())
    for name in context.nicknames:
        # One whose file is gone, or whose path is not for the sender, is left out.
        with suppress(PunaError):
            check_model_name(name, identity)
            models[name] = await context.catalogue.find(name)
    return {name: entry for name, entry in models.items() if may_use_model(context, identity, entry)}


def may_use_model(context: Context, identity: Identity, entry: ModelEntry) -> bool:
    """Return whether a model is for the sender.

    An adapter that was trained with a key is for the key's organisation, and for who manages; all else is for all.
    """
    record = context.adapters.find(entry.id) if entry.adapter else None
    return record is None or _may_use_adapter(identity, record)


def _may_use_all(context: Context, identity: Identity) -> bool:
    return all(_may_use_adapter(identity, record) for record in context.adapters.records())


def _may_use_adapter(identity: Identity, record: AdapterRecord) -> bool:
    is_for_all = record.organisation_id is None or identity.may(Scope.MANAGE)
    return is_for_all or identity.may_use(str(record.organisation_id))


async def _no_model(context: Context, identity: Identity, name: str) -> ModelNotFoundError:
    """Return the error for a name that means nothing to the sender, with names of what is for them alone."""
    return ModelNotFoundError(describe_unknown(name, list(await list_models(context, identity))))


def check_model_name(name: str | None, identity: Identity) -> None:
    """Let ids pass, and paths of those who manage models.

    For others a path is no model, whether or not there is a file: what lies on this disk is not theirs to learn.
    Raises `ModelNotFoundError`.
    """
    if name and not identity.may(Scope.MANAGE) and path_in(name) is not None:
        raise ModelNotFoundError("There is no such model; to name a file by its path needs the scope manage.")
