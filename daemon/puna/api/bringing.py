"""Models that a request names and that are not on this machine: they are downloaded, and waited for a while."""

from puna.api.context import Context
from puna.domain.downloads import IS_OPEN, IS_STOPPED, Download, DownloadState
from puna.downloads.pulling import ON_DISK
from puna.errors import ModelLoadError, ModelNotFoundError
from puna.hub.failures import HubUnreachableError
from puna.hub.quantisations import same_label


async def bring(context: Context, name: str, unknown: ModelNotFoundError) -> Download:
    """Begin to download what a name means, or take up the download that does.

    Raises `unknown` where the name means nothing on the Hub, also with the reason where the Hub cannot be reached,
    and the errors of `Puller.pull`.
    """
    if context.hub.puller.reference_of(name) is None:
        raise unknown
    try:
        return await context.hub.puller.pull(name)
    except HubUnreachableError as error:
        raise ModelNotFoundError(f"{unknown.message} {error.message}") from error


async def wait_for(context: Context, download: Download, timeout_s: float) -> Download:
    """Return a download once it is done, or after the time as it is then.

    Raises `ModelLoadError` for one that fails or is stopped.
    """
    if download.id != ON_DISK:
        download = await context.hub.downloads.wait(download.id, timeout_s)
    if download.state is DownloadState.DONE or download.is_open:
        return download
    raise ModelLoadError(download.error or f"The download of {download.name} was {download.state}.")


def coming(context: Context) -> list[Download]:
    """Return the downloads that are on their way, or stopped on it."""
    return [each for each in context.hub.downloads.list() if each.state in IS_OPEN | IS_STOPPED]


def find_coming(context: Context, name: str) -> Download | None:
    """Return the download that brings what a name means; None where there is none."""
    reference = context.hub.puller.reference_of(name)
    for download in coming(context):
        if download.name == name:
            return download
        is_repo = reference is not None and reference.repo == download.repo
        if is_repo and reference and (reference.tag is None or same_label(download.label, reference.tag)):
            return download
    return None


def share_of(download: Download) -> float:
    """Return how much of a download is there, from 0 to 1."""
    return download.done_bytes / download.size_bytes if download.size_bytes else 0.0


def describe_progress(download: Download) -> str:
    """Return how far a download is, in a few words: `12 % of 4.7 GB, about 3 min left`."""
    if download.state in IS_STOPPED:
        return f"{download.state} at {int(100 * share_of(download))} % of {_size(download.size_bytes)}"
    left = f", about {_time(download.time_left_s)} left" if download.time_left_s else ""
    return f"{int(100 * share_of(download))} % of {_size(download.size_bytes)}{left}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
