"""Bytes of tokens to text."""

import codecs

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Utf8Stream:
    """Joins the bytes of one sequence's tokens to text, as they come.

    A character whose bytes are spread over tokens comes out once, with its last byte. Bytes that cannot be
    UTF-8 become U+FFFD, grouped as Python's decoder with `errors="replace"` does, however they were split.
    """

    __slots__ = ("_decode",)

    def __init__(self) -> None:
        self._decode = _new_decoder("replace").decode

    def push(self, piece: bytes) -> str:
        """Return the text that is complete now; empty while a character is still open."""
        return self._decode(piece)

    def flush(self) -> str:
        """Return what an unfinished character at the end becomes, and start anew."""
        return self._decode(b"", True)
