"""What was typed in earlier chats, in a file for this user only: one JSON string a line, the newest last."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from puna.errors import DaemonError
from puna.files import make_private_folder, write_private
from puna.paths import Paths
from puna.terminal.safe_text import to_utf8_text

LIMIT = 1000
_SLACK = 200
"""How many lines beyond the limit are let stand, so that the file is not written anew each time."""
_LONGEST_BYTES = 64 * 1024
"""Longer messages, such as pasted files, are not kept."""


def history_file(paths: Paths) -> Path:
    """Return where it is."""
    return paths.state_dir / "terminal-history.jsonl"


def encode_entry(text: str) -> bytes | None:
    """Return the line for what was typed; None where it is not kept: when it begins with a space, or is too long."""
    if not text.strip() or text.startswith(" "):
        return None
    line = msgspec.json.encode(to_utf8_text(text)) + b"\n"
    return line if len(line) <= _LONGEST_BYTES else None


def decode_entries(content: bytes) -> list[str]:
    """Return what was typed, the oldest first and each once; damaged lines are left out."""
    found: dict[str, None] = {}
    for line in content.splitlines():
        try:
            text = msgspec.json.decode(line, type=str)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        found.pop(text, None)
        found[text] = None
    return list(found)[-LIMIT:]


class HistoryFile:
    """The file. Several chats may add to it at the same time. What fails is no reason to end a chat."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> list[str]:
        """Return what was typed, the oldest first; nothing where the file cannot be read."""
        try:
            content = self._file.read_bytes()
        except OSError:
            return []
        entries = decode_entries(content)
        if content.count(b"\n") > LIMIT + _SLACK:
            self._replace(entries)
        return entries

    def add(self, text: str) -> None:
        """Append what was typed."""
        line = encode_entry(text)
        if line is None:
            return
        try:
            make_private_folder(self._file.parent)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab", buffering=0) as stream:
                stream.write(line)
        except (OSError, DaemonError):
            return

    def _replace(self, entries: Sequence[str]) -> None:
        try:
            write_private(self._file, b"".join(filter(None, map(encode_entry, entries))))
        except OSError:
            return
