"""Events of a stream on the wire. Pure."""

DONE = b"data: [DONE]\n\n"
"""The last one of a stream that did not fail."""


def to_event(data: bytes) -> bytes:
    """Return an event without a name; the data is one line."""
    return b"data: " + data + b"\n\n"
