"""Everything that the daemon has to do with the Hub, put together from the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from puna.config import Settings
from puna.downloads.cached import HubFetcher
from puna.downloads.journal import StoredJournal
from puna.downloads.pulling import Puller
from puna.downloads.service import DownloadService, OnDone
from puna.hub.client import HubClient
from puna.hub.http import HubHttp
from puna.hub.names import HubReference
from puna.hub.offers import Offers, Room
from puna.hub.places import HubPlaces, chosen, places_in
from puna.hub.reachability import Reachability
from puna.hub.token import TokenSource
from puna.hub.transfer import Transfer, TransferOptions
from puna.store.database import Database


@dataclass(frozen=True, kw_only=True)
class HubDesk:
    """The parts that surfaces use; one for the daemon. Belongs to one event loop."""

    client: HubClient
    offers: Offers
    downloads: DownloadService
    puller: Puller
    cache: Path
    """The folder that downloads go to."""
    http: HubHttp

    @classmethod
    def open(
        cls,
        settings: Settings,
        database: Database,
        secrets_file: Path,
        *,
        find_reference: Callable[[str], HubReference | None],
        measure_room: Callable[[], Room],
        on_done: OnDone | None = None,
    ) -> Self:
        """Return the parts; nothing is asked or begun before `downloads.start`."""
        places = places_of(settings)
        tokens = TokenSource(places.token_file, secrets_file)
        client = HubClient(places.endpoint, tokens, Reachability(is_offline=places.is_offline))
        http = HubHttp(places.endpoint, client.read_token, stall_s=settings.download_stall_s)
        options = TransferOptions(reserve_bytes=settings.download_reserve_bytes)
        transfer = Transfer(client, http, places.cache, options)
        fetcher = HubFetcher(transfer, places.cache, reserve_bytes=settings.download_reserve_bytes)
        downloads = DownloadService(
            fetcher, StoredJournal(database), files_at_once=settings.download_files, on_done=on_done
        )
        puller = Puller(
            client,
            downloads,
            places.cache,
            find_reference=find_reference,
            memory_bytes=lambda: measure_room().total_bytes,
        )
        return cls(
            client=client,
            offers=Offers(client, http, measure_room),
            downloads=downloads,
            puller=puller,
            cache=places.cache,
            http=http,
        )

    async def close(self) -> None:
        """Stop downloads, which the next start takes up, and close connections. Idempotent."""
        await self.downloads.close()
        await self.http.close()


def places_of(settings: Settings) -> HubPlaces:
    """Return where the Hub and its cache are, by the settings and, where they are auto, the environment."""
    return chosen(
        places_in(),
        endpoint=settings.hub_endpoint,
        cache=settings.hub_cache,
        token_file=settings.hub_token_file,
        is_offline=settings.offline,
    )
