"""The routes about models, downloads and the Hub."""

from puna.api.control import downloads, hub, models
from puna.api.control.download_schema import ADD_MODEL, PULL, DownloadsReply, SearchReply
from puna.api.control.route import control_route
from puna.api.dialect import Route
from puna.api.streaming import SSE
from puna.domain.downloads import Download
from puna.domain.hub_offers import ModelPage
from puna.domain.model_list import ListedModel, ModelList, RemovedModel

_DOWNLOAD = "/puna/v1/downloads/{download_id}"
_MODEL = "/puna/v1/models/{name:.+}"

MODEL_ROUTES: tuple[Route, ...] = (
    control_route("GET", "/puna/v1/models", models.list_models, ModelList),
    control_route("POST", "/puna/v1/models", models.add_model, ListedModel, body=ADD_MODEL),
    control_route("GET", _MODEL, models.show_model, ListedModel),
    control_route("DELETE", _MODEL, models.remove_model, RemovedModel),
    control_route(
        "GET",
        "/puna/v1/downloads",
        downloads.list_downloads,
        DownloadsReply,
        stream_type=SSE,
        query={"follow": "Set to anything: news of all downloads as server-sent events, without end."},
    ),
    control_route("POST", "/puna/v1/downloads", downloads.begin_download, Download, body=PULL),
    control_route(
        "GET",
        _DOWNLOAD,
        downloads.show_download,
        Download,
        stream_type=SSE,
        query={
            "follow": "Set to anything: its news as server-sent events, until it goes on no more by itself."
        },
    ),
    control_route("POST", f"{_DOWNLOAD}/pause", downloads.pause_download, Download),
    control_route("POST", f"{_DOWNLOAD}/resume", downloads.resume_download, Download),
    control_route("POST", f"{_DOWNLOAD}/cancel", downloads.cancel_download, Download),
    control_route(
        "GET",
        "/puna/v1/hub/search",
        hub.search,
        SearchReply,
        query={
            "query": "Words of the names that are looked for; absent: the most downloaded.",
            "limit": "How many repositories at most, from 1 to 30; absent: 10.",
        },
    ),
    control_route("GET", "/puna/v1/hub/models/{name:.+}", hub.show_model, ModelPage),
)
