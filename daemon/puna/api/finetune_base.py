"""Which model a request for fine-tuning means."""

from puna.api.context import Context
from puna.api.model_names import find_current_base, find_model
from puna.domain.models import ModelEntry
from puna.keys.identity import Identity


async def find_base(context: Context, identity: Identity, name: str | None) -> ModelEntry:
    """Return the model of this name; without one the current model, an adapter's base, else the default one.

    Raises `ModelNotFoundError`, or `ModelLoadError` for a file that cannot be run.
    """
    if name:
        return await find_model(context, identity, name)
    return await find_current_base(context)
