"""What the program remembers between runs, as against what the user wants (`puna.config`)."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from puna.errors import DaemonError, StoreError
from puna.files import make_private_folder, write_private

_log = logging.getLogger(__name__)


class State(Struct, frozen=True, kw_only=True):
    """All of it. New fields need a default, so that older files can be read."""

    instructions: dict[str, str] = field(default_factory=dict)
    """System instructions by model id; `global` for every model without its own."""
    nicknames: dict[str, str] = field(default_factory=dict)
    """What further names of models stand for: an id, or the path of a file."""
    added_files: dict[str, str] = field(default_factory=dict)
    """The paths of GGUF files that were added, by the id under which they are listed."""


class StateFile:
    """The file of one daemon, which alone writes it. The methods touch the disk: call them in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._updating = threading.Lock()

    def read(self) -> State:
        """Return the state, the initial one when there is no file.

        A damaged file is put aside under another name, with a line in the log. Raises `DaemonError` when the
        file cannot be read at all: to go on would overwrite it.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise DaemonError(f"{self._path} cannot be read ({error.strerror}); make it yours.") from error
        try:
            return msgspec.json.decode(content, type=State)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._put_aside(error)
            return State()

    def write(self, state: State) -> None:
        """Replace the file in one step. Raises `OSError` or `DaemonError`; the old file stands then."""
        make_private_folder(self._path.parent)
        write_private(self._path, msgspec.json.format(msgspec.json.encode(state), indent=2))

    def update(self, change: Callable[[State], State]) -> None:
        """Replace the state by what `change` makes of it, one change after the other.

        Raises `StoreError`, which tells a client nothing of this machine's folders; the old state stands then.
        """
        with self._updating:
            try:
                self.write(change(self.read()))
            except (OSError, DaemonError) as error:
                _log.error("%s is not written: %s", self._path, error)
                raise StoreError(
                    "Nothing was kept: Puna's state file cannot be read or written; `puna logs` says why."
                ) from error

    def _put_aside(self, error: Exception) -> None:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        aside = self._path.with_name(f"{self._path.name}.damaged-{now}")
        try:
            self._path.replace(aside)
        except OSError as failure:
            message = (
                f"{self._path} is damaged and cannot be put aside ({failure.strerror}); move it yourself."
            )
            raise DaemonError(message) from failure
        _log.warning("%s is damaged (%s): put aside as %s, started anew", self._path, error, aside.name)


class StateTable:
    """One table of the state, as it is on the disk. One for the daemon; used from the event loop only."""

    def __init__(
        self,
        file: StateFile,
        name: Literal["instructions", "nicknames", "added_files"],
        entries: Mapping[str, str],
    ) -> None:
        """`entries` are those of `State` as read at the start."""
        self.entries = dict(entries)
        self._file = file
        self._name = name
        self._lock = asyncio.Lock()

    async def change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        """Change what is known and written, one after the other; who leaves meanwhile does not stop it half-way.

        Raises `StoreError`, and what `change` raises; all is as before then.
        """
        await asyncio.shield(self._change(change))

    async def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        async with self._lock:
            entries = change(self.entries)
            await asyncio.to_thread(self._file.update, lambda state: replace(state, **{self._name: entries}))
            self.entries = entries
