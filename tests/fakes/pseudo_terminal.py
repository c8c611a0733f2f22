"""A program on a terminal of its own, and what stands on its screen: keys in, lines out. Not on Windows."""

import codecs
import contextlib
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import pyte

if sys.platform != "win32":
    import fcntl
    import pty
    import termios

    def _open() -> tuple[int, int]:
        """Return the terminal's two ends."""
        return pty.openpty()

    def _set_size(terminal: int, columns: int, rows: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

else:

    def _open() -> tuple[int, int]:
        raise NotImplementedError

    def _set_size(terminal: int, columns: int, rows: int) -> None:
        raise NotImplementedError


_IN_CONTROL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes standard input the terminal that the program belongs to, so that Ctrl-C reaches it, and becomes the program."""
TIMEOUT_S = 60.0
ENTER, ALT_ENTER, UP, CTRL_C, CTRL_D, TAB = "\r", "\x1b\r", "\x1b[A", "\x03", "\x04", "\t"


class _Screen(pyte.HistoryScreen):
    """Answers the questions that programs put to terminals, such as where the cursor is."""

    def __init__(self, columns: int, rows: int, answer: Callable[[bytes], object]) -> None:
        super().__init__(columns, rows, history=10_000, ratio=0.5)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data.encode())


class PseudoTerminal:
    """Runs a program until it ends; use it as a context manager."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], *, columns: int = 80, rows: int = 24
    ) -> None:
        self._main, child = _open()
        self._lock = threading.Lock()
        self._screen = _Screen(columns, rows, lambda data: os.write(self._main, data))
        self._stream = pyte.Stream(self._screen)
        _set_size(self._main, columns, rows)
        self.raw = bytearray()
        """All that the program wrote."""
        named = {"TERM": "xterm-256color", "COLUMNS": "", "LINES": "", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _IN_CONTROL, *command],
            stdin=child,
            stdout=child,
            stderr=child,
            env={**environ, **named},
            start_new_session=True,
        )
        os.close(child)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(TIMEOUT_S)
        os.close(self._main)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._main, keys.encode())

    @property
    def lines(self) -> list[str]:
        """All lines, those that scrolled away too, without spaces at their ends."""
        with self._lock:
            above = [
                "".join(line[column].data for column in range(self._screen.columns))
                for line in self._screen.history.top
            ]
            return [line.rstrip() for line in [*above, *self._screen.display]]

    @property
    def text(self) -> str:
        """The lines as one text, without empty ones at its end."""
        return "\n".join(self.lines).rstrip()

    def wait_for(self, is_so: Callable[[str], bool] | str) -> str:
        """Wait until words, or something else, are there; return the text."""
        check = (lambda text: is_so in text) if isinstance(is_so, str) else is_so
        deadline = time.monotonic() + TIMEOUT_S
        while not check(self.text):
            assert time.monotonic() < deadline, f"it did not happen; the screen is:\n{self.text}"
            time.sleep(0.02)
        return self.text

    def wait_for_end(self) -> int:
        """Wait until the program has ended; return its exit code."""
        code = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with contextlib.suppress(OSError):
            while data := os.read(self._main, 65536):
                self.raw += data
                with self._lock:
                    self._stream.feed(decoder.decode(data))
