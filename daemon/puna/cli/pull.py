"""`puna pull`: download models."""

from typing import Annotated

import msgspec
import typer

from puna.cli.figures import print_table, show_size
from puna.cli.model_names import complete_known
from puna.cli.outcome import complain, say
from puna.domain.downloads import Download, DownloadState
from puna.errors import NotFoundError
from puna.model_client import ModelClient, connect_models
from puna.paths import Paths
from puna.terminal.download import bring

_HELP = """

The daemon downloads; this command shows how far it is. Ctrl-C pauses, and the same command goes on where it
stopped, after a crash or a restart too. Models go to the Hub's own cache, where other programs find them.

\b
Examples:
  puna pull llama3.2:1b               a short name; `puna search` finds others
  puna pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0
  puna pull llama3.2:1b --detach      do not wait
  puna pull --list                    all downloads
  puna pull llama3.2:1b --pause
  puna pull llama3.2:1b --cancel      give it up, remove what has arrived
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("pull", help=summary + _HELP)(_command)


def _command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="A model: a short name, org/repo or org/repo:TAG.",
            autocompletion=complete_known,
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show all downloads.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Pause the download.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give the download up.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: one object for each download.")] = False,
) -> None:
    if not names and not list_:
        raise typer.BadParameter("Which model? `puna search` finds some, `puna pull --list` lists downloads.")
    client = connect_models(Paths.for_user())
    if list_:
        _print_all(client.downloads(), json=json)
        return
    for name in names or ():
        _act(client, name, detach=detach, pause=pause, cancel=cancel, json=json)


def _act(client: ModelClient, name: str, *, detach: bool, pause: bool, cancel: bool, json: bool) -> None:
    if pause or cancel:
        download = find_download(client.downloads(), name)
        download = client.cancel(download) if cancel else client.pause(download)
    else:
        download = client.begin(name) if detach else _wait(client, name)
    typer.echo(msgspec.json.encode(download)) if json else say(describe(download))


def _wait(client: ModelClient, name: str) -> Download:
    """Show how far it is; Ctrl-C pauses it."""
    return bring(client, name, on_interrupt=lambda download: complain(describe(client.pause(download))))


def find_download(downloads: tuple[Download, ...], name: str) -> Download:
    """Return the download with this id, or the last one of this model. Raises `NotFoundError`."""
    names = {name, *names_on_hub(name)}
    for download in reversed(downloads):
        if not names.isdisjoint({download.id, download.name, download.repo}):
            return download
    raise NotFoundError(f"There is no download of {name}; `puna pull --list` lists them.")


def names_on_hub(name: str) -> set[str]:
    """Return what the short name of a model stands for; nothing for other names."""
    from puna.models.known import read_known_models

    wanted = read_known_models(Paths.for_user().known_models).find(name)
    if wanted is None or wanted.known is None:
        return set()
    return {str(wanted.download)} | (set() if wanted.reference.tag else {wanted.reference.repo})


def describe(download: Download) -> str:
    """Return one sentence on where a download stands."""
    share = f"{show_size(download.done_bytes)} of {show_size(download.size_bytes)}"
    match download.state:
        case DownloadState.DONE:
            size = show_size(download.size_bytes)
            return f"{download.name} is here ({size}); `puna run {download.name}` starts a chat."
        case DownloadState.PAUSED:
            return f"{download.name} is paused at {share}; `puna pull {download.name}` goes on."
        case DownloadState.CANCELLED:
            return f"The download of {download.name} is cancelled; what had arrived is removed."
        case DownloadState.FAILED:
            return f"The download of {download.name} failed: {download.error}"
        case _:
            return f"{download.name} is being downloaded, {share}; `puna pull {download.name}` shows how far it is."


def _print_all(downloads: tuple[Download, ...], *, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode({"downloads": downloads}))
    elif not downloads:
        say("There are no downloads; `puna pull NAME` begins one.")
    else:
        print_table(("id", "model", "state", "done", "size", "rate", "error"), list(map(_row, downloads)))


def _row(download: Download) -> tuple[str, ...]:
    rate = f"{show_size(int(download.rate_bytes_s))}/s" if download.rate_bytes_s else "-"
    share = 100 * download.done_bytes // download.size_bytes if download.size_bytes else 0
    size = show_size(download.size_bytes)
    return download.id, download.name, download.state, f"{share} %", size, rate, download.error or ""
