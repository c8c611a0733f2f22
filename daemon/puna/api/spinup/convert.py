"""Spin-Up's and Ollama's values from and to the domain's. Pure.

What a prompt becomes
---------------------
As in Ollama, a model with a chat template gets the prompt as the user's turn, after `system` if there is one.
A model without a template continues the bare text, unless there is a `system`, which only a conversation can
carry. `raw` sends the bare text to any model.

A field that would change the answer and is not supported is refused, never ignored: see `check_supported`.
"""

import re
from datetime import UTC, datetime

from msgspec import Struct

from puna.api.encoding import encode_json
from puna.api.spinup.replies import ChunkReply, GenerateReply, LoadReply, UsageReply
from puna.api.spinup.schema import GenerateBody, Options
from puna.domain.chat import Message, Role
from puna.domain.constraint import Constraint, JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    Completion,
    Finished,
    GenerationRequest,
    Prompt,
    Sampling,
    TextPrompt,
    Usage,
)
from puna.errors import InvalidRequestError

DEFAULT_TEMPERATURE = 0.8
DEFAULT_TOP_P = 0.9
DEFAULT_TOP_K = 40
DEFAULT_REPEAT_PENALTY = 1.1
DEFAULT_REPEAT_LAST_N = 64
"""Ollama's defaults."""

_ANY_OBJECT = '{"type":"object"}'
_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_NONZERO_DIGIT = re.compile(r"[1-9]")


class AnswerHead(Struct, frozen=True):
    """What all lines of one answer share."""

    id: str
    model: str
    """The name that the request used."""
    load_s: float
    """Seconds until the model was ready."""


def check_supported(body: GenerateBody) -> None:
    """Refuse what would change the answer and is not supported. Raises `InvalidRequestError`."""
    refusals = {
        "suffix": (body.suffix, f'"{body.model}" does not support insert: `suffix` is not supported yet.'),
        "images": (body.images, f'"{body.model}" does not support images: `images` is not supported yet.'),
        "think": (body.think, f'"{body.model}" does not support thinking'),
        "context": (body.context, "`context` is not supported: send the earlier text with the prompt."),
        "logprobs": (body.logprobs, "`logprobs` is not supported yet."),
        "template": (
            body.template,
            "`template` is not supported: the model's own template is used; "
            "to render the prompt yourself, send it with `raw` set to true.",
        ),
    }
    for field, (value, refusal) in refusals.items():
        if value:
            raise InvalidRequestError(refusal, field=field)
    if body.raw and body.system:
        raise InvalidRequestError("`raw` and `system` exclude each other.", field="system")


def to_generation(body: GenerateBody, *, has_chat_template: bool, context_length: int) -> GenerationRequest:
    """Return the request. Raises `InvalidRequestError` for a format that is none."""
    options = body.options or Options()
    limit = int(options.num_predict or 0)
    return GenerationRequest(
        prompt=_to_prompt(body, has_chat_template=has_chat_template),
        sampling=_to_sampling(options, context_length),
        max_tokens=limit if limit > 0 else None,
        stop=_to_stop(options.stop),
        constraint=to_constraint(body.format),
    )


def to_constraint(format_: object) -> Constraint | None:
    """Return the constraint of `format`: any JSON object for `json`, else the schema."""
    match format_:
        case None | "":
            return None
        case "json":
            return JsonSchemaConstraint(_ANY_OBJECT)
        case dict():
            return JsonSchemaConstraint(encode_json(format_).decode())
        case _:
            raise InvalidRequestError('`format` must be "json" or a JSON schema.', field="format")


def asks_to_unload(keep_alive: str | float | None) -> bool:
    """Whether the model shall go now. Raises `InvalidRequestError` for what is no duration."""
    match keep_alive:
        case None:
            return False
        case str():
            if not _DURATION.fullmatch(keep_alive):
                raise InvalidRequestError(
                    "`keep_alive` must be a number of seconds or a duration such as 5m.", field="keep_alive"
                )
            return not _NONZERO_DIGIT.search(keep_alive)
        case _:
            return keep_alive == 0


def from_completion(completion: Completion, head: AnswerHead, now: datetime) -> GenerateReply:
    """Return a whole answer."""
    return _to_reply(completion.text, completion.finished, head, now)


def from_text(text: str, head: AnswerHead, now: datetime) -> ChunkReply:
    """Return a line with more text."""
    return ChunkReply(id=head.id, model=head.model, created_at=to_timestamp(now), response=text, output=text)


def from_finish(finished: Finished, head: AnswerHead, now: datetime) -> GenerateReply:
    """Return the last line of a stream: all but the text."""
    return _to_reply("", finished, head, now)


def to_load_reply(model: str, done_reason: str, now: datetime) -> LoadReply:
    """Return the answer to a request without a prompt; the reason is `load` or `unload`."""
    return LoadReply(model=model, created_at=to_timestamp(now), done_reason=done_reason)


def to_timestamp(moment: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _to_prompt(body: GenerateBody, *, has_chat_template: bool) -> Prompt:
    text = body.prompt or ""
    if body.raw or not (body.system or has_chat_template):
        return TextPrompt(text)
    user = Message(Role.USER, text)
    return ChatPrompt((Message(Role.SYSTEM, body.system), user) if body.system else (user,))


def _to_sampling(options: Options, context_length: int) -> Sampling:
    window = DEFAULT_REPEAT_LAST_N if options.repeat_last_n is None else int(options.repeat_last_n)
    return Sampling(
        temperature=DEFAULT_TEMPERATURE if options.temperature is None else options.temperature,
        top_p=DEFAULT_TOP_P if options.top_p is None else options.top_p,
        top_k=DEFAULT_TOP_K if options.top_k is None else max(int(options.top_k), 0),
        min_p=options.min_p or 0.0,
        repetition_penalty=options.repeat_penalty or DEFAULT_REPEAT_PENALTY,
        frequency_penalty=options.frequency_penalty or 0.0,
        presence_penalty=options.presence_penalty or 0.0,
        penalty_window=context_length if window < 0 else window,
        seed=None if options.seed is None or options.seed < 0 else int(options.seed),
    )


def _to_stop(stop: str | list[str] | None) -> tuple[str, ...]:
    given = [stop] if isinstance(stop, str) else stop or []
    return tuple(text for text in given if text)


def _to_reply(text: str, finished: Finished, head: AnswerHead, now: datetime) -> GenerateReply:
    timing = finished.timing
    return GenerateReply(
        id=head.id,
        model=head.model,
        created_at=to_timestamp(now),
        response=text,
        output=text,
        done_reason=finished.reason.value,
        total_duration=_to_ns(head.load_s + timing.queue_s + timing.prompt_s + timing.decode_s),
        load_duration=_to_ns(head.load_s),
        prompt_eval_count=finished.usage.prompt_tokens,
        prompt_eval_duration=_to_ns(timing.prompt_s),
        eval_count=finished.usage.completion_tokens,
        eval_duration=_to_ns(timing.decode_s),
        usage=_to_usage(finished.usage),
    )


def _to_usage(usage: Usage) -> UsageReply:
    return UsageReply(usage.total_tokens, usage.prompt_tokens, usage.completion_tokens)


def _to_ns(seconds: float) -> int:
    """Return whole nanoseconds, at least one: clients divide by durations."""
    return max(1, round(seconds * 1e9))
