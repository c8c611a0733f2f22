"""From token pieces to the text that a client sees."""

from collections.abc import Sequence

from puna.prompting.stop_strings import StopMatcher
from puna.prompting.utf8 import Utf8Stream


class TextAssembler:
    """Joins pieces to characters and holds back what may become a stop string."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._characters = Utf8Stream()
        self._stop = StopMatcher(stop)
        self.stop_text: str | None = None
        """The stop string that was found; the text ends before it."""

    def push(self, piece: bytes) -> str:
        """Take in one token's bytes and return the text that is certain now, often empty."""
        return self._pass(self._characters.push(piece))

    def flush(self) -> str:
        """Return what was held back; after the last token."""
        if self.stop_text is not None:
            return ""
        return self._pass(self._characters.flush()) + self._stop.flush()

    def _pass(self, text: str) -> str:
        if not text:
            return ""
        emitted, self.stop_text = self._stop.push(text)
        return emitted
