"""What goes to and comes from `/v1/chat/completions`, and which pieces of an answer that is. Pure."""

import msgspec
from msgspec import UNSET, Struct, UnsetType

from puna.errors import GenerationError, PunaError
from puna.terminal.conversation import Conversation, Role
from puna.terminal.options import ChatOptions

_DATA = b"data:"
_DONE = b"[DONE]"


class _Turn(Struct, frozen=True):
    role: Role
    content: str


class _StreamOptions(Struct, frozen=True):
    include_usage: bool


class _Schema(Struct, frozen=True):
    schema: msgspec.Raw
    name: str = "answer"


class _Format(Struct, frozen=True, omit_defaults=True):
    type: str
    json_schema: _Schema | UnsetType = UNSET


class ChatRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body. What is unset is left to the daemon."""

    model: str
    messages: tuple[_Turn, ...]
    stream: bool
    stream_options: _StreamOptions
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    think: bool | str | None = None
    response_format: _Format | None = None


class Piece(Struct, frozen=True):
    """What came of an answer."""

    text: str = ""
    thought: str = ""


class Usage(Struct, frozen=True):
    """What an answer cost, in tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Ended(Struct, frozen=True):
    """Why an answer ended: `stop`, or `length` where it was cut."""

    reason: str


Event = Piece | Usage | Ended


class _Delta(Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(Struct, frozen=True):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Failure(Struct, frozen=True):
    message: str = ""
    code: str | None = None


class _Chunk(Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    usage: Usage | None = None
    error: _Failure | None = None


class _Refusal(Struct, frozen=True):
    """OpenAI's form, and that of Puna's own routes."""

    error: _Failure | str = _Failure()
    detail: str = ""


def encode_request(conversation: Conversation) -> bytes:
    """Return the body that asks for the next turn."""
    options = conversation.options
    request = ChatRequest(
        model=conversation.model,
        messages=tuple(_Turn(each.role, each.content) for each in conversation.turns),
        stream=True,
        stream_options=_StreamOptions(include_usage=True),
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        min_p=options.min_p,
        repeat_penalty=options.repeat_penalty,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        seed=options.seed,
        max_tokens=options.max_tokens,
        stop=options.stop,
        think=options.think,
        response_format=_to_format(options),
    )
    return msgspec.json.encode(request)


def _to_format(options: ChatOptions) -> _Format | None:
    match options.format:
        case "" | "text":
            return None
        case "json":
            return _Format("json_object")
        case schema:
            return _Format("json_schema", _Schema(msgspec.Raw(schema.encode())))


def decode_event(line: bytes) -> tuple[Event, ...]:
    """Return what one line of the stream tells. Raises the error that it holds, or `PunaError` for garbage."""
    data = line.strip()
    if not data.startswith(_DATA):
        return ()
    data = data[len(_DATA) :].strip()
    if data == _DONE:
        return ()
    try:
        chunk = msgspec.json.decode(data, type=_Chunk)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PunaError("Puna's answer cannot be read; is it another version?") from error
    if chunk.error is not None:
        raise GenerationError(chunk.error.message or "The answer failed.")
    return tuple(_events(chunk))


def _events(chunk: _Chunk) -> list[Event]:
    found: list[Event] = []
    for choice in chunk.choices:
        piece = Piece(choice.delta.content or "", choice.delta.reasoning_content or "")
        if piece != Piece():
            found.append(piece)
        if choice.finish_reason:
            found.append(Ended(choice.finish_reason))
    if chunk.usage is not None:
        found.append(chunk.usage)
    return found


class RefusedError(PunaError):
    """The daemon answered with a status of 400 or more."""

    def __init__(self, message: str, status: int, code: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def decode_refusal(status: int, body: bytes) -> RefusedError:
    """Return the error that the daemon answered instead."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        refusal = _Refusal()
    failure = _Failure(refusal.error) if isinstance(refusal.error, str) else refusal.error
    message = failure.message or refusal.detail or f"Puna refused with status {status}."
    return RefusedError(message, status, failure.code)
