"""The daemon's log: one readable line for each record, nothing secret in it, and no waiting for the disk.

A record is made into text where it is logged: secrets out, control characters escaped, so that nothing a
client sends can begin a line of its own. A queue takes it to the thread that writes it. A traceback follows
its record on lines that begin with `    | `.
"""

import copy
import logging
import os
import queue
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import TextIO

from puna.domain.generation import Usage
from puna.errors import DaemonError
from puna.files import make_private_folder
from puna.redaction import redact

_QUEUE_LIMIT = 10_000
_MESSAGE_LIMIT = 16_000
_PATH_LIMIT = 200
_CONSOLE_WAIT_S = 1.0
"""How long a console that takes nothing is waited for, once until it takes something again."""
_CONSOLE_POLL_S = 0.005
_FILE_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
_CONSOLE_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


def escape(text: str) -> str:
    r"""Return the text on one line: what a terminal would obey or not show becomes `\n`, `\x1b`, `\u2028`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def access_line(
    method: str,
    path: str,
    *,
    dialect: str,
    status: int,
    time_s: float,
    usage: Usage | None = None,
    note: str = "",
) -> str:
    """Return the line for one request: `POST /chat locallab 200 0.532s 12+34 tokens`.

    The query is left out of the path: it may hold a key. Tokens are those of prompt and text; `note` says
    what the status does not, such as `client left`.
    """
    shown = path.partition("?")[0]
    if len(shown) > _PATH_LIMIT:
        shown = shown[:_PATH_LIMIT] + "..."
    words = [escape(method[:20]), escape(redact(shown)), dialect, str(status), f"{time_s:.3f}s"]
    if usage is not None:
        words.append(f"{usage.prompt_tokens}+{usage.completion_tokens} tokens")
    if note:
        words.append(f"({escape(note)})")
    return " ".join(words)


def render(record: logging.LogRecord) -> str:
    """Return message and traceback of a record as they go to the log. Raises on unfit arguments."""
    message = record.getMessage()
    if len(message) > _MESSAGE_LIMIT:
        message = f"{message[:_MESSAGE_LIMIT]}... ({len(message) - _MESSAGE_LIMIT} more characters)"
    lines = [escape(redact(message))]
    if record.exc_info:
        trace = logging.Formatter().formatException(record.exc_info)
        lines.extend(f"    | {escape(line)}" for line in redact(trace).splitlines())
    return "\n".join(lines)


@contextmanager
def logging_to(file: Path, *, level: str, file_bytes: int, file_count: int, console: bool) -> Iterator[None]:
    """Send all logging of this process to a file, and to standard error if `console`, while the block runs.

    `level` is for Puna's own loggers; of other libraries only warnings are kept. Leaving the block writes
    what is queued. Raises `DaemonError` when the file cannot be written.
    """
    listener, sender = _build(_handlers(file, file_bytes, file_count, console))
    root, own = logging.getLogger(), logging.getLogger("puna")
    before = root.handlers[:], root.level, own.level
    root.handlers[:] = [sender]
    root.setLevel(logging.WARNING)
    own.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    listener.start()
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:], _, _ = before
        root.setLevel(before[1])
        own.setLevel(before[2])
        listener.stop()
        for handler in listener.handlers:
            with suppress(OSError):  # what a full disk did not take is lost now
                handler.close()


def _build(handlers: list[logging.Handler]) -> tuple[QueueListener, "_Sender"]:
    records: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_LIMIT)
    return _Writer(records, *handlers), _Sender(records)


def _handlers(file: Path, file_bytes: int, file_count: int, console: bool) -> list[logging.Handler]:
    make_private_folder(file.parent)
    try:
        handlers: list[logging.Handler] = [_RotatingFile(file, file_bytes, file_count)]
    except OSError as error:
        raise DaemonError(f"The log {file} cannot be written ({error.strerror}).") from error
    handlers[0].setFormatter(logging.Formatter(_FILE_FORMAT, "%Y-%m-%d %H:%M:%S"))
    if console and sys.stderr is not None:
        handlers.append(_Console(sys.stderr))
        handlers[-1].setFormatter(logging.Formatter(_CONSOLE_FORMAT, "%H:%M:%S"))
    return handlers


class _Sender(QueueHandler):
    """Makes records into text and queues them. Drops the newest when the disk cannot keep up, and counts."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        prepared = copy.copy(record)
        prepared.msg = render(record)
        prepared.args = prepared.exc_info = prepared.exc_text = prepared.stack_info = None
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self.dropped:
                record.msg = f"{record.msg} ({self.dropped} lines before this one were dropped)"
            self.queue.put_nowait(record)
            self.dropped = 0
        except queue.Full:
            self.dropped += 1


class _Writer(QueueListener):
    """The thread that writes."""

    def enqueue_sentinel(self) -> None:
        """Ask the thread to end after what is queued, also where the queue is full."""
        self.queue.put(self._sentinel)  # type: ignore[attr-defined]


class _Console(logging.StreamHandler[TextIO]):
    """A stream that may have no reader any more: a full pipe, or a held terminal, loses lines and holds up nothing."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._descriptor = _open_way(stream)
        self._is_held = False
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless that would wait for a reader."""
        if self._descriptor is None:
            super().emit(record)
            return
        try:
            text = self.format(record)
            if self._dropped:
                text = f"{text} ({self._dropped} lines before this one were dropped)"
            data = (text + self.terminator).encode(self.stream.encoding, "backslashreplace")
            self._is_held = not _put(self._descriptor, data, 0.0 if self._is_held else _CONSOLE_WAIT_S)
            self._dropped = self._dropped + 1 if self._is_held else 0
        except Exception:  # noqa: BLE001 - as all handlers do
            self.handleError(record)

    def close(self) -> None:
        """Close the way to the stream, which itself stays as it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        super().close()


if sys.platform == "win32":

    def _open_way(stream: TextIO) -> int | None:  # noqa: ARG001 - POSIX has it
        """Return None: Windows cannot tell whether writing would wait."""
        return None

    def _put(descriptor: int, data: bytes, patience_s: float) -> bool:
        raise NotImplementedError

else:

    def _open_way(stream: TextIO) -> int | None:
        """Return a descriptor of our own that leads where the stream does; None where that is no file.

        A terminal that is ready may take less than it is given, so it is opened anew, not to be waited for: the
        flags of the stream itself are the shell's too.
        """
        try:
            number = stream.fileno()
            with suppress(OSError):
                return os.open(os.ttyname(number), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
            return os.dup(number)
        except (OSError, ValueError):
            return None

    def _put(descriptor: int, data: bytes, patience_s: float) -> bool:
        """Write all of it; False where nothing more was taken for so long."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        until_s = time.monotonic() + patience_s
        while data:
            is_ready = poll.poll(max(0.0, until_s - time.monotonic()) * 1000)
            taken = _put_piece(descriptor, data[: select.PIPE_BUF]) if is_ready else 0
            data = data[taken:]
            if taken:
                until_s = time.monotonic() + patience_s
            elif time.monotonic() >= until_s:
                return False
            else:
                time.sleep(_CONSOLE_POLL_S)
        return True

    def _put_piece(descriptor: int, data: bytes) -> int:
        """Return how much was taken of a piece that a ready pipe takes whole."""
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            return 0


class _RotatingFile(RotatingFileHandler):
    """A rotating file that goes on while it cannot be renamed, as on Windows when someone reads it, or written."""

    def __init__(self, file: Path, file_bytes: int, file_count: int) -> None:
        super().__init__(
            file, maxBytes=file_bytes, backupCount=file_count, encoding="utf-8", errors="backslashreplace"
        )
        self._failed = self._is_failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        self._failed = False
        super().emit(record)
        self._is_failing = self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - named by logging
        """Say on standard error that a full disk takes no lines, once until it takes some again."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._failed = True
        if not self._is_failing and sys.stderr is not None:
            with suppress(OSError):
                print(f"puna: the log cannot be written ({error.strerror}).", file=sys.stderr)

    def doRollover(self) -> None:  # noqa: N802 - named by logging
        try:
            super().doRollover()
        except OSError:
            if self.stream is None or self.stream.closed:
                self.stream = self._open()
