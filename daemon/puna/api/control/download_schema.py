"""Bodies and answers about the Hub, downloads and the models of this machine; `puna.client` reads and writes them."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.validation import BodySchema
from puna.domain.downloads import Download
from puna.domain.hub_offers import RepoOffer

_Name = Annotated[str, Meta(min_length=1, max_length=1000)]


class PullBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/downloads."""

    model: _Name
    """`org/repo`, `org/repo:Q4_K_M`, or a short name such as `llama3.2:1b`."""


class DownloadsReply(Struct, frozen=True):
    """Answer of GET /puna/v1/downloads."""

    downloads: tuple[Download, ...]


class SearchReply(Struct, frozen=True):
    """Answer of GET /puna/v1/hub/search."""

    results: tuple[RepoOffer, ...]


class AddModelBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/models."""

    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    """The absolute path of a GGUF file, which stays where it is."""
    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The name that requests will use; absent: the file's."""


PULL = BodySchema(PullBody)
ADD_MODEL = BodySchema(AddModelBody)
