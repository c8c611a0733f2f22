"""The part of the control API that is about models, downloads and the Hub, for the command line and the tray."""

from collections.abc import Iterator
from urllib.parse import quote, urlencode

from msgspec import Struct

from puna.client import ControlClient, connect
from puna.domain.downloads import Download
from puna.domain.hub_offers import ModelPage, RepoOffer
from puna.domain.model_list import ListedModel, ModelList, RemovedModel
from puna.event_stream import follow_events
from puna.instance import Endpoint
from puna.paths import Paths

_TIMEOUT_S = 60.0
"""The daemon may ask the Hub three times for one answer, ten seconds each."""


class _Downloads(Struct, frozen=True):
    downloads: tuple[Download, ...]


class _Results(Struct, frozen=True):
    results: tuple[RepoOffer, ...]


class ModelClient(ControlClient):
    """Every method blocks, and raises `NotRunningError` when nothing answers, `PunaError` when the daemon refuses."""

    _says_refused = ""

    def __init__(self, endpoint: Endpoint, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__(endpoint, timeout_s)

    def models(self) -> ModelList:
        """Return what can run, what cannot and why."""
        return self._ask("GET", "/puna/v1/models", ModelList)

    def model(self, name: str) -> ListedModel:
        """Return one model, by any of its names."""
        return self._ask("GET", f"/puna/v1/models/{quote(name)}", ListedModel)

    def add_model(self, path: str, name: str | None) -> ListedModel:
        """List a GGUF file that stays where it is."""
        return self._ask("POST", "/puna/v1/models", ListedModel, {"path": path, "name": name})

    def remove_model(self, name: str) -> RemovedModel:
        """Delete a downloaded model, or forget an added file or a further name."""
        return self._ask("DELETE", f"/puna/v1/models/{quote(name)}", RemovedModel)

    def search(self, query: str, limit: int) -> tuple[RepoOffer, ...]:
        """Return what the Hub has."""
        parameters = urlencode({"query": query, "limit": limit})
        return self._ask("GET", f"/puna/v1/hub/search?{parameters}", _Results).results

    def page(self, name: str) -> ModelPage:
        """Return a repository of the Hub and its card."""
        return self._ask("GET", f"/puna/v1/hub/models/{quote(name)}", ModelPage)

    def downloads(self) -> tuple[Download, ...]:
        """Return all downloads, the oldest first."""
        return self._ask("GET", "/puna/v1/downloads", _Downloads).downloads

    def begin(self, name: str) -> Download:
        """Begin to download what a name means on the Hub, or join the download that does."""
        return self._ask("POST", "/puna/v1/downloads", Download, {"model": name})

    def pause(self, download: Download) -> Download:
        """Stop a download; what has arrived is kept."""
        return self._ask("POST", f"/puna/v1/downloads/{quote(download.id)}/pause", Download)

    def cancel(self, download: Download) -> Download:
        """Give a download up."""
        return self._ask("POST", f"/puna/v1/downloads/{quote(download.id)}/cancel", Download)

    def follow(self, download: Download) -> Iterator[Download]:
        """Yield how far a download is, until it goes on no more by itself. One that is over is yielded once."""
        if not download.is_open:
            yield download
            return
        yield from follow_events(self.endpoint, f"/puna/v1/downloads/{quote(download.id)}?follow=1", Download)


def connect_models(paths: Paths) -> ModelClient:
    """Return a client of the running daemon. Raises `NotRunningError` with the next step."""
    return ModelClient(connect(paths).endpoint)
