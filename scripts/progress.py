"""Running pip, which takes minutes, with one line that says what it does."""

from __future__ import annotations

import math
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_TICK_S = 1.0
_PIPED_TICK_S = 20.0
_STEPS = (
    (re.compile(r"^Collecting ([A-Za-z0-9._-]+)"), "fetching {0}"),
    (re.compile(r"^Building wheels? for collected packages: .*llama[-_]cpp"), "compiling llama.cpp"),
    (re.compile(r"^Building wheel for (\S+)"), "building {0}"),
    (re.compile(r"^\[(\d+)/(\d+)\] "), "compiling llama.cpp, {0} of {1} files"),
    (re.compile(r"^\[ *(\d+)%\] "), "compiling llama.cpp, {0} %"),
    (re.compile(r"^Installing collected packages"), "installing"),
)


def describe(line: str) -> str | None:
    """Return what a line of pip's output means for the person who waits; None for most of them."""
    for pattern, text in _STEPS:
        found = pattern.match(line.strip())
        if found:
            return text.format(*found.groups()).replace("building llama-cpp-python", "compiling llama.cpp")
    return None


def run_with_progress(command: Sequence[str], log: Path, environ: Mapping[str, str]) -> int:
    """Run a command, its output in `log`, and return its exit code. An interruption ends it, too."""
    with log.open("ab") as sink:
        child = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=dict(environ),
        )
        lines: queue.Queue[bytes | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
        reader.start()
        try:
            _show(lines, sink)
            return child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
            reader.join()
            if child.stdout:
                child.stdout.close()


def _read(stream: IO[bytes] | None, lines: queue.Queue[bytes | None]) -> None:
    for line in stream or ():
        lines.put(line)
    lines.put(None)


def _show(lines: queue.Queue[bytes | None], sink: IO[bytes]) -> None:
    status = _Status(is_terminal=sys.stdout.isatty())
    while True:
        try:
            line = lines.get(timeout=_TICK_S)
        except queue.Empty:
            status.show()
            continue
        if line is None:
            status.end()
            return
        sink.write(line)
        status.note(describe(line.decode("utf-8", "replace")))


class _Status:
    """One line that is written over on a terminal; elsewhere a new line now and then."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._started = time.monotonic()
        self._shown_at = -math.inf
        self._text = "preparing"

    def note(self, text: str | None) -> None:
        if text is not None and text != self._text:
            self._text = text
            self.show()

    def show(self) -> None:
        now = time.monotonic()
        if now - self._shown_at < (0.1 if self._is_terminal else _PIPED_TICK_S):
            return
        self._shown_at = now
        minutes, seconds = divmod(int(now - self._started), 60)
        line = f"  {minutes}:{seconds:02d}  {self._text}"
        print(
            f"\r{line:<78.78}" if self._is_terminal else line,
            end="" if self._is_terminal else "\n",
            flush=True,
        )

    def end(self) -> None:
        if self._is_terminal:
            print(f"\r{'':<78}\r", end="", flush=True)
