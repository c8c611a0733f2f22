"""Downloads: list, begin, pause, resume, cancel, and news of them as server-sent events."""

from aiohttp import web

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.control.download_schema import PULL, DownloadsReply
from puna.api.control.following import follow
from puna.api.responses import json_response
from puna.downloads.service import DownloadService


async def list_downloads(request: web.Request) -> web.StreamResponse:
    """GET /puna/v1/downloads: those that wait, run or are stopped, and the last ones that have ended.

    With `follow` set, each as it is and then whenever it changes, as server-sent events.
    """
    if request.query.get("follow"):
        return await follow(request, "download", _downloads(request).listen, None)
    return json_response(DownloadsReply(downloads=tuple(_downloads(request).list())))


async def begin_download(request: web.Request) -> web.Response:
    """POST /puna/v1/downloads: begins to download a model by its name, or takes up the download that does."""
    body = PULL.parse(await read_body(request))
    return json_response(await context_of(request).hub.puller.pull(body.model))


async def show_download(request: web.Request) -> web.StreamResponse:
    """GET /puna/v1/downloads/{download_id}: one download as it is now.

    With `follow` set, that and then whenever it changes, as server-sent events, until it goes on no more by itself.
    """
    download = _downloads(request).get(_id_in(request))
    if request.query.get("follow"):
        return await follow(request, "download", _downloads(request).listen, download.id)
    return json_response(download)


async def pause_download(request: web.Request) -> web.Response:
    """POST /puna/v1/downloads/{download_id}/pause: stops it; what has arrived is kept."""
    return json_response(await _downloads(request).pause(_id_in(request)))


async def resume_download(request: web.Request) -> web.Response:
    """POST /puna/v1/downloads/{download_id}/resume: lets a paused or failed one go on where it stopped."""
    return json_response(await _downloads(request).resume(_id_in(request)))


async def cancel_download(request: web.Request) -> web.Response:
    """POST /puna/v1/downloads/{download_id}/cancel: gives it up; unfinished files are removed, whole ones stay."""
    return json_response(await _downloads(request).cancel(_id_in(request)))


def _downloads(request: web.Request) -> DownloadService:
    return context_of(request).hub.downloads


def _id_in(request: web.Request) -> str:
    return request.match_info["download_id"]
