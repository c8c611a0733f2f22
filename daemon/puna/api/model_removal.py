"""Taking a model away by its name, for all APIs: files that Puna brought are deleted, all others only forgotten."""

import asyncio

from puna.api.context import Context
from puna.domain.model_list import RemovedModel
from puna.domain.models import ModelEntry, ModelSource
from puna.errors import InvalidRequestError, StoreError
from puna.hub.removal import remove_model as delete_files
from puna.models.listing import UnusableFile
from puna.models.names import parse_aliases
from puna.residency.place import Resident


async def remove_model(context: Context, name: str) -> RemovedModel:
    """Delete a downloaded model, or forget an added file or a further name.

    Who asks must be one who may manage. Raises `ModelNotFoundError`, `StoreError` where the disk does not let go, and
    `InvalidRequestError` for what is not Puna's to delete, for a model that answers somebody right now, and for one
    that somebody gave a further name.
    """
    if name in context.nicknames:
        await context.nicknames.take_back(name)
        return RemovedModel(id=name, freed_bytes=0, is_deleted=False)
    found = await context.catalogue.find_any(name)
    if found.source is not ModelSource.HUB:
        forgotten = await context.catalogue.forget(name)
        return RemovedModel(id=forgotten, freed_bytes=0, is_deleted=False)
    return await _delete(context, found)


async def _delete(context: Context, entry: ModelEntry | UnusableFile) -> RemovedModel:
    _check_has_no_further_name(context, entry.id)
    resident = next((each for each in context.residency.residents() if each.entry.id == entry.id), None)
    if resident and _is_wanted(resident):
        raise InvalidRequestError(f"{entry.id} answers somebody right now; try again when it is idle.")
    if resident:
        await context.residency.unload(entry.id)
    try:
        freed = await asyncio.to_thread(delete_files, context.hub.cache, entry.files)
    except OSError as error:
        raise StoreError(f"The files of {entry.id} cannot be deleted: {error.strerror}.") from error
    await context.catalogue.overview()  # so that nobody finds it any more
    return RemovedModel(id=entry.id, freed_bytes=freed, is_deleted=True)


def _check_has_no_further_name(context: Context, model_id: str) -> None:
    """To copy a model and to delete the first name renames it in Ollama; here it would delete it under both."""
    fixed = parse_aliases(context.settings.model_aliases)
    names = [name for name, target in context.nicknames.items() if target == model_id and name not in fixed]
    if names:
        raise InvalidRequestError(f"{model_id} goes by the name {names[0]} too; delete that name first.")


def _is_wanted(resident: Resident) -> bool:
    status = resident.status
    return bool(status.busy_slots or status.waiting_requests or resident.waiting_requests)
