"""The daemon's models, brought here first where they are missing."""

import sys
from collections.abc import Callable
from typing import Protocol

from puna.domain.downloads import Download
from puna.errors import ModelNotFoundError, PunaError
from puna.instance import Endpoint
from puna.model_client import ModelClient
from puna.terminal.daemon import ChatDaemon, FindDaemon
from puna.terminal.download import Downloads, bring
from puna.terminal.saved import file_of

_PATHS = ("./", "../", "~", ".\\", "..\\")
"""How a path begins that is none from the root."""


class PausableDownloads(Downloads, Protocol):
    """Downloads that can be stopped."""

    def pause(self, download: Download) -> Download:
        """Stop a download; what has arrived is kept. Raises `PunaError`."""
        ...


class TerminalModels(ChatDaemon):
    """What `puna.terminal.session.Models` asks for."""

    def __init__(
        self, find: FindDaemon, downloads_of: Callable[[Endpoint], PausableDownloads] = ModelClient
    ) -> None:
        super().__init__(find)
        self._downloads_of = downloads_of

    def ensure(self, name: str) -> str:
        """Return the name to ask for when the model is on this machine, after a download where needed.

        A file is named as from this program's folder. Ctrl-C pauses the download. Raises `PunaError`.
        """
        name = to_model_name(name)
        if self.has_model(name):
            return name
        downloads = self._downloads_of(self.endpoint)
        brought = bring(downloads, name, on_interrupt=lambda download: _pause(downloads, download))
        return name if self.has_model(name) else brought.name

    def models_or_none(self) -> tuple[str, ...]:
        """Return the models that can run, or nothing where they cannot be told."""
        try:
            return self.models()
        except PunaError:
            return ()


def to_model_name(given: str) -> str:
    """Return the name for the daemon, which runs in another folder: the whole path of a file that is here.

    Raises `ModelNotFoundError` for a path, which no other name can be, where no file is.
    """
    if not given.lower().endswith(".gguf"):
        return given
    file = file_of(given)
    if file.is_file():
        return str(file.absolute())
    if given.startswith(_PATHS) or file.is_absolute():
        raise ModelNotFoundError(f"There is no file {file}; `puna ls` shows the models that are here.")
    return given


def _pause(downloads: PausableDownloads, download: Download) -> None:
    try:
        downloads.pause(download)
    except PunaError as error:
        print(f"puna: {error.message}", file=sys.stderr)
    else:
        print(f"puna: The download is paused; `puna pull {download.name}` goes on.", file=sys.stderr)
