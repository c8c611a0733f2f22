"""The closed set of messages between the daemon and a worker, and their frames.

A frame is a 4-byte little-endian length and that many bytes of msgpack: a list of messages, so that one step of
the engine is one write whatever the number of open requests. The pipe carries nothing else; end of file means
that the other side is gone.
"""

import struct
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from puna.domain.generation import Finished, GenerationRequest, TokenLogprob
from puna.domain.models import LoadedModel, WorkerStatus
from puna.errors import ErrorKind

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""A frame above this is a broken peer. Bodies are limited to less at the HTTP edge."""

_HEADER = struct.Struct("<I")
HEADER_BYTES = _HEADER.size


class ProtocolError(Exception):
    """The peer sent bytes that are no frame, or a message outside the set."""


class Load(Struct, frozen=True, kw_only=True, tag="load"):
    """Load this model. The first message of the daemon, sent once."""

    path: str
    context_length: int | None = None
    """Tokens for one request; None fits it to the model and to memory."""
    slots: int = 8
    threads: int | None = None
    """Fixed number of threads; None lets the governor choose."""
    gpu_layers: int | None = None
    """Layers on the GPU; None puts there what fits."""


class Generate(Struct, frozen=True, tag="generate"):
    """Start a request."""

    request_id: int
    request: GenerationRequest


class Abort(Struct, frozen=True, tag="abort"):
    """Nobody wants this request any more. Unknown ids are ignored: it may just have finished."""

    request_id: int


class Shutdown(Struct, frozen=True, tag="shutdown"):
    """End open requests with reason `abort` and exit with 0."""


ToWorker = Load | Generate | Abort | Shutdown


class Loading(Struct, frozen=True, tag="loading"):
    """Progress of the load, 0 to 1."""

    progress: float


class Loaded(Struct, frozen=True, tag="loaded"):
    """The model is ready."""

    model: LoadedModel


class Delta(Struct, frozen=True, tag="delta"):
    """More text of an open request."""

    request_id: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


class Done(Struct, frozen=True, tag="done"):
    """The request ended as it should; nothing more comes for it."""

    request_id: int
    finished: Finished


class Failed(Struct, frozen=True, tag="failed"):
    """The request failed, or the load where `request_id` is None; nothing more comes for it."""

    request_id: int | None
    kind: ErrorKind
    message: str


class Status(Struct, frozen=True, tag="status"):
    """The worker's counters changed."""

    status: WorkerStatus


FromWorker = Loading | Loaded | Delta | Done | Failed | Status

_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(list[ToWorker])
_from_worker = msgspec.msgpack.Decoder(list[FromWorker])


def encode_frame(messages: Sequence[ToWorker] | Sequence[FromWorker]) -> bytes:
    """Return one frame with these messages."""
    body = _encoder.encode(messages)
    return _HEADER.pack(len(body)) + body


def decode_header(header: bytes) -> int:
    """Return the number of bytes that follow. Raises `ProtocolError` when it cannot be a frame."""
    size: int = _HEADER.unpack(header)[0]
    if size > MAX_FRAME_BYTES:
        raise ProtocolError(f"a frame of {size} bytes exceeds the limit of {MAX_FRAME_BYTES}")
    return size


def decode_to_worker(body: bytes) -> list[ToWorker]:
    """Return the daemon's messages. Raises `ProtocolError`."""
    try:
        return _to_worker.decode(body)
    except msgspec.MsgspecError as error:
        raise ProtocolError(str(error)) from error


def decode_from_worker(body: bytes) -> list[FromWorker]:
    """Return the worker's messages. Raises `ProtocolError`."""
    try:
        return _from_worker.decode(body)
    except msgspec.MsgspecError as error:
        raise ProtocolError(str(error)) from error
