"""`puna logs`."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from puna.cli.outcome import ExitCode, complain
from puna.logs import escape
from puna.paths import Paths

_POLL_S = 0.25
_TAIL_BYTES = 4 * 1024 * 1024

_HELP = """

\b
Examples:
  puna logs                 the last 50 lines
  puna logs -n 500
  puna logs --follow        and what comes, until Ctrl-C
  puna logs --worker        what llama.cpp printed in the newest worker
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("logs", help=summary + _HELP)(_command)


def _command(
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, metavar="NUMBER", help="How many of the last lines.")
    ] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    worker: Annotated[bool, typer.Option("--worker", help="The log of the newest worker.")] = False,
) -> None:
    paths = Paths.for_user()
    file = newest_file(paths.worker_log_dir) if worker else paths.daemon_log
    if file is None or not file.exists():
        complain(f"There is no log yet at {file or paths.worker_log_dir}; `puna start` makes one.")
        raise typer.Exit(ExitCode.NOT_RUNNING)
    follower = LogFollower(file)
    for line in last_lines(file, lines, follower.offset):
        typer.echo(line)
    while follow:
        for line in follower.new_lines():
            typer.echo(line)
        time.sleep(_POLL_S)


def newest_file(folder: Path) -> Path | None:
    """Return the file of a folder that was written last."""
    try:
        files = [(file.stat().st_mtime, file) for file in folder.iterdir() if file.is_file()]
    except OSError:
        return None
    return max(files)[1] if files else None


def last_lines(file: Path, count: int, end: int | None = None) -> list[str]:
    """Return the last lines before a byte, from the file rotated before it too where this one has too few."""
    lines = [*_tail(_rotated(file)), *_tail(file, end)]
    return lines[-count:] if count else []


class LogFollower:
    """Reads what is added to a log from now on, also when it is rotated. Holds no file open between reads."""

    def __init__(self, file: Path) -> None:
        status = file.stat()
        self._file = file
        self._inode = status.st_ino
        self.offset = status.st_size
        """Where the lines begin that are new."""
        self._rest = b""

    def new_lines(self) -> Iterator[str]:
        """Yield the whole lines that were added since the last call."""
        try:
            status = self._file.stat()
        except OSError:
            return
        if status.st_ino != self._inode or status.st_size < self.offset:
            yield from self._read(_rotated(self._file))
            self._inode, self.offset = status.st_ino, 0
        yield from self._read(self._file)

    def _read(self, file: Path) -> Iterator[str]:
        try:
            with file.open("rb") as stream:
                stream.seek(self.offset)
                added = stream.read()
        except OSError:
            return
        self.offset += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        yield from map(_to_text, lines)


def _rotated(file: Path) -> Path:
    return file.with_name(f"{file.name}.1")


def _tail(file: Path, end: int | None = None) -> list[str]:
    try:
        with file.open("rb") as stream:
            end = file.stat().st_size if end is None else end
            begin = stream.seek(max(0, end - _TAIL_BYTES))
            content = stream.read(end - begin)
            return [_to_text(line) for line in content.removesuffix(b"\n").split(b"\n") if line]
    except OSError:
        return []


def _to_text(line: bytes) -> str:
    return escape(line.decode("utf-8", "replace").rstrip("\r"))
