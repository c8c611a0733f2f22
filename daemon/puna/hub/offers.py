"""What the Hub has to offer: search results with sizes and what fits, and model cards."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from msgspec import Struct

from puna.domain.hub_offers import ModelPage, RepoOffer, VariantOffer
from puna.errors import InvalidRequestError, PunaError
from puna.hub.client import HubClient
from puna.hub.http import HubHttp
from puna.hub.names import DEFAULT_REVISION, HubReference
from puna.hub.quantisations import judge_fit, recommend
from puna.hub.records import RepoInfo
from puna.hub.resolve import Variant, first_of_labels, has_models, name_of, variants_of

MAX_RESULTS = 30
_MAX_REMEMBERED = 300


class Room(Struct, frozen=True):
    """Memory for models, all devices together, in bytes."""

    free_bytes: int
    total_bytes: int


class Offers:
    """Called from the event loop only; all methods raise the errors of `puna.hub.failures`."""

    def __init__(self, hub: HubClient, http: HubHttp, measure_room: Callable[[], Room]) -> None:
        self._hub = hub
        self._http = http
        self._measure_room = measure_room
        self._looked_up: OrderedDict[tuple[str, str], RepoInfo] = OrderedDict()

    async def search(self, query: str, limit: int) -> list[RepoOffer]:
        """Return repositories with GGUF models, the most downloaded first, with the size of each quantisation.

        Where a repository does not tell its sizes it is listed without them.
        """
        if not 1 <= limit <= MAX_RESULTS:
            raise InvalidRequestError(
                f"`limit` must be a whole number from 1 to {MAX_RESULTS}.", field="limit"
            )
        found = await self._hub.search(query, limit)
        detailed = await asyncio.gather(*(self._with_sizes(info) for info in found))
        room = self._measure_room()
        return [to_offer(info, room, self._hub.endpoint) for info in detailed]

    async def page(self, wanted: HubReference) -> ModelPage:
        """Return a repository and its card; one without GGUF files leads to its first conversion."""
        info = await self._hub.info_with_models(wanted)
        url = f"{self._hub.endpoint}/{info.id}/resolve/{info.commit or DEFAULT_REVISION}/README.md"
        has_card = any(file.name == "README.md" for file in info.files)
        offer = to_offer(info, self._measure_room(), self._hub.endpoint)
        return ModelPage(
            offer=offer, card=await self._http.text(url) if has_card else None, asked=wanted.repo
        )

    async def _with_sizes(self, info: RepoInfo) -> RepoInfo:
        key = (info.id, info.commit)
        if key not in self._looked_up:
            try:
                self._looked_up[key] = await self._hub.info(info.id, info.commit or DEFAULT_REVISION)
            except PunaError:
                return info
            while len(self._looked_up) > _MAX_REMEMBERED:
                self._looked_up.popitem(last=False)
        return self._looked_up[key]


def to_offer(info: RepoInfo, room: Room, endpoint: str) -> RepoOffer:
    """Return what is told of a repository."""
    variants = [each for each in variants_of(info.files) if each.is_complete]
    best = recommended(variants, room) if has_models(info) and variants else None
    firsts = first_of_labels(variants)
    order = sorted(variants, key=lambda each: each is not best)
    return RepoOffer(
        repo=info.id,
        downloads=info.downloads,
        likes=info.likes,
        licence=info.licence,
        is_gated=info.is_gated,
        is_private=info.is_private,
        architecture=info.architecture,
        parameter_count=info.parameter_count,
        context_length=info.context_length,
        updated=info.updated,
        page=f"{endpoint}/{info.id}",
        variants=tuple(
            _to_variant(each, name_of(info.id, each, firsts), room, is_best=each is best) for each in order
        ),
    )


def recommended(variants: Sequence[Variant], room: Room) -> Variant:
    """Return the one that a pull without a quantisation takes on this machine."""
    return variants[recommend([(each.label, each.size_bytes) for each in variants], room.total_bytes)]


def _to_variant(variant: Variant, name: str, room: Room, *, is_best: bool) -> VariantOffer:
    size_bytes = variant.size_bytes
    fit = judge_fit(size_bytes, free_bytes=room.free_bytes, total_bytes=room.total_bytes)
    return VariantOffer(
        name=name,
        label=variant.label,
        size_bytes=size_bytes,
        file_count=len(variant.files),
        fit=fit if size_bytes else None,
        is_recommended=is_best,
    )
