"""The one door from dialects to models: it checks that the sender may use a name before anybody looks for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from puna.api.context import Context
from puna.domain.models import ModelEntry
from puna.errors import ModelNotFoundError
from puna.keys.identity import Identity, Scope
from puna.models.names import path_in
from puna.residency.coordinator import Lease


@asynccontextmanager
async def acquire_model(context: Context, identity: Identity, name: str | None) -> AsyncIterator[Lease]:
    """Hold a model in memory, the current or the default one without a name. Errors as `Coordinator.acquire`."""
    check_model_name(name, identity)
    async with context.residency.acquire(name or None) as lease:
        yield lease


async def find_model(context: Context, identity: Identity, name: str) -> ModelEntry:
    """Return what the catalogue has under a name. Errors as `Catalogue.find`."""
    check_model_name(name, identity)
    return await context.catalogue.find(name)


def check_model_name(name: str | None, identity: Identity) -> None:
    """Let ids pass, and paths of those who manage models.

    For others a path is no model, whether or not there is a file: what lies on this disk is not theirs to learn.
    Raises `ModelNotFoundError`.
    """
    if name and not identity.may(Scope.MANAGE) and path_in(name) is not None:
        raise ModelNotFoundError("There is no such model; to name a file by its path needs the scope manage.")
