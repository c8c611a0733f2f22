"""Remote models as the catalogue lists them. Pure."""

from puna.domain.models import ModelEntry, ModelKind, ModelSource
from puna.domain.remote import RemoteModel


def to_entry(remote: RemoteModel) -> ModelEntry:
    """Return the entry of a remote model: what the settings say, as its engine is asked when it is used."""
    is_text = remote.kind is ModelKind.TEXT
    return ModelEntry(
        id=remote.name,
        name=remote.name,
        size_bytes=0,
        description=" ".join(filter(None, (remote.model, f"runs at {remote.origin}"))),
        context_length=remote.context_length,
        kind=remote.kind,
        can_think=is_text and remote.can_think,
        can_call_tools=is_text and remote.can_call_tools,
        can_infill=is_text and remote.can_infill,
        source=ModelSource.REMOTE,
        remote=remote,
    )
