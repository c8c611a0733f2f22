"""The body of the export of an adapter."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.validation import BodySchema
from puna.domain.merging import MergedType


class ExportBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/adapters/{adapter_id}/export."""

    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    """The absolute path of the file to make, on the daemon's machine; it ends in `.gguf`, and there is none yet."""
    merged: bool = True
    """Together with the base, as a model of its own; the adapter alone is its file, see GET."""
    type: MergedType | None = None
    """How the matrices are stored; absent: as the base's."""


EXPORT = BodySchema(ExportBody)
