"""The closed set of messages between the daemon and a merger. Frames are those of `engine.protocol`.

The daemon sends one `MergeOrder`; the merger answers with `Progressed` and, as its last word, `Merged` or
`MergeFailed`. The end of the pipe tells it to take back what it has written and to end.
"""

import msgspec
from msgspec import Struct

from puna.domain.merging import MergeOrder, MergeProgress, MergeResult
from puna.engine.protocol import ProtocolError, to_frame
from puna.errors import ErrorKind


class Progressed(Struct, frozen=True, tag="progressed"):
    """How far it is; told in steps that are worth a message."""

    progress: MergeProgress


class Merged(Struct, frozen=True, tag="merged"):
    """The file is there, whole."""

    result: MergeResult


class MergeFailed(Struct, frozen=True, tag="failed"):
    """There is no file, and nothing is left of it."""

    kind: ErrorKind
    message: str
    field: str | None = None


FromMerger = Progressed | Merged | MergeFailed

_encoder = msgspec.msgpack.Encoder()
_order = msgspec.msgpack.Decoder(MergeOrder)
_from_merger: msgspec.msgpack.Decoder[FromMerger] = msgspec.msgpack.Decoder(FromMerger)


def encode_frame(message: MergeOrder | FromMerger) -> bytes:
    """Return one frame with this message."""
    return to_frame(_encoder.encode(message))


def decode_order(body: bytes) -> MergeOrder:
    """Return the daemon's order. Raises `ProtocolError`."""
    try:
        return _order.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(str(error)) from error


def decode_from_merger(body: bytes) -> FromMerger:
    """Return the merger's message. Raises `ProtocolError`."""
    try:
        return _from_merger.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(str(error)) from error
