"""LocalLab's streams, readable by everyone who reads them: the document, two Python clients, two JavaScript
clients and an EventSource.

The document wants `data: <text>` lines, and the Python client's chat wants bare lines of JSON. EventSource
ignores a line without a known field name, and the Python client ignores what is no JSON, so a chat event
carries both. What clients do to lines of text decides how the text is cut: see `Chunker`.
"""

import json
import re

from puna.api.encoding import encode_json
from puna.api.locallab.errors import message_of
from puna.api.locallab.replies import ChunkChoiceReply, ChunkReply, DeltaReply
from puna.api.streaming import SSE
from puna.domain.generation import Finished, GenerationEvent, ReasoningDelta, TextDelta
from puna.errors import PunaError

_LINE_BREAKS = str.maketrans({"\r": r"\r"} | dict.fromkeys("\n\v\f\x1c\x1d\x1e\x85\u2028\u2029", r"\n"))
_MARKER = re.compile(r"\s*(?:\[(?=DONE\]$|ERROR\])|Error(?=:))")


class Chunker:
    """Cuts text into pieces that survive as `data:` lines; holds back at most one piece.

    - Line breaks of every kind become the two characters `\\n` or `\\r`, as in the real server.
    - No piece ends with white space, or is nothing else: clients strip lines. It opens the next piece.
    - No piece is JSON by itself: one client parses each piece and drops a number or a word like `true`.
    - No piece begins like the marker of an error, or is the marker of the end.
    """

    def __init__(self) -> None:
        self._held = ""

    def push(self, text: str) -> list[str]:
        """Take more text and return the pieces that are ready, none of them empty."""
        self._held += text.translate(_LINE_BREAKS)
        piece = self._held.rstrip()
        if not piece or _is_json(piece):
            return []
        self._held = self._held[len(piece) :]
        return _split_marker(piece)

    def flush(self) -> list[str]:
        """Return what is left at the end. White space at the very end is lost: every client strips it."""
        piece, self._held = self._held.rstrip(), ""
        return _split_marker(piece) if piece else []


class GenerateEncoder:
    """The stream of `/generate`."""

    content_type = SSE

    def __init__(self) -> None:
        self._chunker = Chunker()

    def encode(self, event: GenerationEvent) -> bytes:
        """Return `data:` events for text; at the end what was held back, and the end."""
        match event:
            case TextDelta(text):
                return _data_events(self._chunker.push(text))
            case Finished():
                return _data_events(self._chunker.flush()) + b"data: [DONE]\n\n"
            case _:
                return b""

    def encode_error(self, error: PunaError) -> bytes:
        """Return what was held back, the error, and the end."""
        return _data_events(self._chunker.flush()) + _error_events(error)


class ChatEncoder:
    """The stream of `/chat`: the same lines, and each delta exactly as it is in a line of JSON."""

    content_type = SSE

    def __init__(self) -> None:
        self._chunker = Chunker()

    def encode(self, event: GenerationEvent) -> bytes:
        """Return events for text; at the end what was held back, and the end for both kinds of readers."""
        match event:
            case TextDelta(text):
                return self._encode_text(text)
            case ReasoningDelta(text):
                return _encode_delta(DeltaReply("", text)) + b"\n\n"
            case Finished():
                return _data_events(self._chunker.flush()) + b'data: [DONE]\n"[DONE]"\n\n'
            case _:
                return b""

    def _encode_text(self, text: str) -> bytes:
        """Return one event that carries the JSON line, behind events for pieces that had to be split."""
        *split, last = self._chunker.push(text) or [""]
        line = _data_line(last) if last else b""
        return _data_events(split) + line + _encode_delta(DeltaReply(text)) + b"\n\n"

    def encode_error(self, error: PunaError) -> bytes:
        """Return what was held back, the error, and the end."""
        return _data_events(self._chunker.flush()) + _error_events(error)


def _encode_delta(delta: DeltaReply) -> bytes:
    return encode_json(ChunkReply((ChunkChoiceReply(index=0, delta=delta),)))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _split_marker(piece: str) -> list[str]:
    marker = _MARKER.match(piece)
    return [piece[: marker.end()], piece[marker.end() :]] if marker else [piece]


def _data_line(piece: str) -> bytes:
    return f"data: {piece}\n".encode()


def _data_events(pieces: list[str]) -> bytes:
    return b"".join(_data_line(piece) + b"\n" for piece in pieces)


def _error_events(error: PunaError) -> bytes:
    message = message_of(error)
    return f"Error: {message}\ndata: [ERROR] {message}\n\ndata: [DONE]\n\n".encode()
