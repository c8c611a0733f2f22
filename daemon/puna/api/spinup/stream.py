"""Spin-Up's and Ollama's stream: lines of JSON, none of them blank, the last with the figures."""

from collections.abc import Callable
from datetime import datetime

from puna.api.encoding import encode_json
from puna.api.spinup.convert import AnswerHead, from_finish, from_text
from puna.api.spinup.errors import message_of
from puna.api.spinup.replies import ErrorLine
from puna.api.streaming import NDJSON
from puna.domain.generation import Finished
from puna.errors import PunaError


class GenerateEncoder:
    """The stream of `/api/generate`."""

    content_type = NDJSON

    def __init__(self, head: AnswerHead, clock: Callable[[], datetime]) -> None:
        """`clock` tells the aware moment that each line carries."""
        self._head = head
        self._clock = clock

    def encode_text(self, text: str) -> bytes:
        """Return one line."""
        return _line(from_text(text, self._head, self._clock()))

    def encode_finish(self, finished: Finished) -> bytes:
        """Return the line with `done`, without which one client calls the stream broken."""
        return _line(from_finish(finished, self._head, self._clock()))

    def encode_error(self, error: PunaError) -> bytes:
        """Return the line that clients raise as an error."""
        return _line(ErrorLine(message_of(error)))


def _line(value: object) -> bytes:
    return encode_json(value) + b"\n"
