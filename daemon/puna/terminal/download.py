"""Bringing a model that is not on this machine: the daemon downloads, the terminal shows how far it is."""

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Protocol

from puna.domain.downloads import Download, DownloadState
from puna.errors import PunaError
from puna.terminal.redrawing import can_redraw, waiting

_MB = 1_000_000
_BESIDE_THE_NAME = 50
"""Columns for bar, size, rate and time."""


class Downloads(Protocol):
    """The daemon's downloads. Both methods raise `PunaError`."""

    def begin(self, name: str) -> Download:
        """Begin to download what a name means on the Hub, or join the download that does."""
        ...

    def follow(self, download: Download) -> Iterator[Download]:
        """Yield how far it is, until it is over or stopped."""
        ...


def bring(
    downloads: Downloads, name: str, *, on_interrupt: Callable[[Download], object] = lambda _: None
) -> Download:
    """Download a model, showing on standard error how far it is, and return the finished download.

    Raises `PunaError` for one that fails or was stopped elsewhere. Ctrl-C calls `on_interrupt` and is raised; the
    daemon goes on downloading unless that stops it.
    """
    with waiting(f"Looking for {name} on the Hub ..."):
        last = begun = downloads.begin(name)
    bar = _Bar(begun) if can_redraw(sys.stderr) else _Lines(begun)
    try:
        with bar:
            for last in downloads.follow(begun) if begun.is_open else ():
                bar.show(last)
    except KeyboardInterrupt:
        on_interrupt(last)
        raise
    if last.state is not DownloadState.DONE:
        raise PunaError(_why(last))
    return last


def _why(download: Download) -> str:
    if download.error:
        return download.error
    if download.is_open:
        return (
            f"Puna stopped. The download of {download.name} goes on when it runs again; "
            f"`puna pull {download.name}` shows it."
        )
    return f"The download of {download.name} was {download.state.value}; `puna pull {download.name}` goes on with it."


class _Bar:
    """A progress bar, below the name where that leaves too little room for it."""

    def __init__(self, begun: Download) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            console=Console(stderr=True),
        )
        self._name = begun.name
        self._is_beside = len(begun.name) + _BESIDE_THE_NAME <= self._progress.console.width
        self._task = self._progress.add_task("", total=begun.size_bytes or None, pace="")
        self.show(begun)

    def __enter__(self) -> None:
        if not self._is_beside:
            self._progress.console.print(self._name, markup=False, highlight=False, soft_wrap=True)
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, download: Download) -> None:
        """Show a state."""
        note = next((file.note for file in download.files if file.note), "")
        parts = (self._name if self._is_beside else "", f"({note})" if note else "")
        self._progress.update(
            self._task,
            completed=download.done_bytes,
            total=download.size_bytes or None,
            description=" ".join(filter(None, parts)),
            pace=pace(download),
        )


def pace(download: Download) -> str:
    """Return how fast it goes and the time left, as far as they are known: `1.3 MB/s 0:00:05`."""
    from rich.filesize import decimal

    rate = f"{decimal(int(download.rate_bytes_s))}/s" if download.rate_bytes_s else ""
    left = str(timedelta(seconds=round(download.time_left_s))) if download.time_left_s is not None else ""
    return f"{rate} {left}".strip()


class _Lines:
    """A line at the beginning and one for each tenth, for logs and pipes."""

    def __init__(self, begun: Download) -> None:
        self._begun = begun
        self._told = 0

    def __enter__(self) -> None:
        size = f", {self._begun.size_bytes / _MB:.0f} MB" if self._begun.size_bytes else ""
        print(f"puna: downloading {self._begun.name}{size}", file=sys.stderr)

    def __exit__(self, *_: object) -> None:
        """Say nothing more."""

    def show(self, download: Download) -> None:
        """Tell a further tenth."""
        tenth = 10 * download.done_bytes // download.size_bytes if download.size_bytes else 0
        if tenth > self._told:
            self._told = tenth
            print(f"puna: {10 * tenth} % of {download.name}", file=sys.stderr)
