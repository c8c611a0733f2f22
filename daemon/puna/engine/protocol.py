"""The closed set of messages between the daemon and a worker, and their frames.

A frame is a 4-byte little-endian length and that many bytes of msgpack: a list of messages, so that one step of
the engine is one write whatever the number of open requests. The pipe carries nothing else; end of file means
that the other side is gone.
"""

import struct
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from puna.domain.embedding import Embedding, EmbeddingRequest, Ranking, RankingRequest
from puna.domain.generation import GenerationEvent, GenerationRequest, Prompt
from puna.domain.models import LoadedModel, ModelKind, WorkerStatus
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
    kind: ModelKind = ModelKind.TEXT
    """What it is loaded for; the worker answers requests of this kind only."""
    context_length: int | None = None
    """Tokens for one request; None is what the model was trained for, within reason."""
    total_cells: int | None = None
    """Tokens that all requests and the prefix cache share; None is room for some requests of full length."""
    slots: int = 8
    threads: int | None = None
    """Fixed number of threads; None lets the governor choose."""
    gpu_layers: int | None = None
    """Layers on the GPU; None puts all there."""
    placement_reason: str = ""
    """Why these layers and no more, where the daemon decided it."""
    rpc_servers: tuple[str, ...] = ()
    """Other machines whose devices count as GPUs, each `host:port`."""


class Generate(Struct, frozen=True, tag="generate"):
    """Start a request."""

    request_id: int
    request: GenerationRequest


class Embed(Struct, frozen=True, tag="embed"):
    """Compute vectors; answered by `Embedded`."""

    request_id: int
    request: EmbeddingRequest


class Rank(Struct, frozen=True, tag="rank"):
    """Rank documents; answered by `Ranked`."""

    request_id: int
    request: RankingRequest


class Count(Struct, frozen=True, tag="count"):
    """Count the tokens of a prompt; answered by `Counted`."""

    request_id: int
    prompt: Prompt


class Abort(Struct, frozen=True, tag="abort"):
    """Nobody wants this request any more. Unknown ids are ignored: it may just have finished."""

    request_id: int


class Shutdown(Struct, frozen=True, tag="shutdown"):
    """End open requests with reason `abort` and exit with 0."""


ToWorker = Load | Generate | Embed | Rank | Count | Abort | Shutdown


class Loading(Struct, frozen=True, tag="loading"):
    """Progress of the load, 0 to 1."""

    progress: float


class Loaded(Struct, frozen=True, tag="loaded"):
    """The model is ready."""

    model: LoadedModel


class Event(Struct, frozen=True, tag="event"):
    """What happened to an open request; nothing more comes for it after `Finished`."""

    request_id: int
    event: GenerationEvent


class Embedded(Struct, frozen=True, tag="embedded"):
    """The vectors are there; nothing more comes for the request."""

    request_id: int
    embedding: Embedding


class Ranked(Struct, frozen=True, tag="ranked"):
    """The ranking is there; nothing more comes for the request."""

    request_id: int
    ranking: Ranking


class Counted(Struct, frozen=True, tag="counted"):
    """The tokens are counted; nothing more comes for the request."""

    request_id: int
    tokens: int


class Failed(Struct, frozen=True, tag="failed"):
    """The request failed, or the load where `request_id` is None; nothing more comes for it."""

    request_id: int | None
    kind: ErrorKind
    message: str


class Status(Struct, frozen=True, tag="status"):
    """The worker's counters changed."""

    status: WorkerStatus


FromWorker = Loading | Loaded | Event | Embedded | Ranked | Counted | Failed | Status

_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(list[ToWorker])
_from_worker = msgspec.msgpack.Decoder(list[FromWorker])


def encode_frame(messages: Sequence[ToWorker] | Sequence[FromWorker]) -> bytes:
    """Return one frame with these messages."""
    return to_frame(_encoder.encode(messages))


def to_frame(body: bytes) -> bytes:
    """Return the frame around a body; the protocols of other children use the same."""
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
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(str(error)) from error


def decode_from_worker(body: bytes) -> list[FromWorker]:
    """Return the worker's messages. Raises `ProtocolError`."""
    try:
        return _from_worker.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(str(error)) from error
