"""Lamini's values from and to the domain's. Pure.

What a prompt becomes
---------------------
Lamini's prompts are text to be completed, and its users write chat templates into them by hand. So:

- a prompt that carries the markers of a template goes to the model as it stands;
- any other is the user's turn for a model with a chat template, and bare text for one without.

The API has no sampling parameters and its results are meant to be repeatable, so the likeliest token wins.

A typed answer is held to its schema whatever the prompt says; so that the model knows what it fills in, the
prompt is followed by the keys, unless it carries markers. `max_tokens`, which counts the prompt in,
and `max_new_tokens` are both taken as the limit of new tokens; the keys of a typed object come on top.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from puna.api.lamini.output_type import OutputType, choose_max_text, from_text, to_schema, to_words
from puna.api.lamini.progress import Progress
from puna.api.lamini.replies import (
    Answer,
    NothingYetReply,
    OutputReply,
    OutputsReply,
    ReservationReply,
    StreamingReply,
)
from puna.api.lamini.schema import CompletionBody, ReservationBody
from puna.domain.chat import Message, Role
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    Completion,
    FinishReason,
    GenerationRequest,
    Priority,
    Prompt,
    Sampling,
    TextPrompt,
)
from puna.domain.models import LoadedModel

DEFAULT_NEW_TOKENS = 512
REPETITION_PENALTY = 1.1
"""For free text: without it small models repeat themselves when the likeliest token wins."""
RESERVED_FOR = timedelta(minutes=10)
DEFAULT_BATCH_SIZE = 5

_MARKERS = re.compile(
    r"<\|\w+\|>|<\uff5c[^\uff5c<>]+\uff5c>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|^</?s>|^<bos>"
    r"|^### ?(?:Instruction|Input|Response|System|User|Human|Assistant)\b",
    re.MULTILINE,
)


def has_template_markers(prompt: str) -> bool:
    """Whether somebody wrote a chat template into the prompt."""
    return _MARKERS.search(prompt) is not None


def to_requests(
    body: CompletionBody,
    output_type: OutputType | None,
    loaded: LoadedModel,
    priority: Priority = Priority.INTERACTIVE,
) -> list[GenerationRequest]:
    """Return one request for each prompt, in order."""
    requests = _to_requests(body, output_type, loaded)
    return [msgspec.structs.replace(request, priority=priority) for request in requests]


def to_answer(completion: Completion, output_type: OutputType | None) -> Answer:
    """Return the text, or the object that it is. Raises `GenerationError` for a text that is no such object."""
    if output_type is None:
        return OutputReply(completion.text)
    return from_text(completion.text, output_type)


def to_outputs(completions: Sequence[Completion], output_type: OutputType | None) -> OutputsReply:
    """Return the answer of /v2/completions. Raises as `to_answer`."""
    return OutputsReply(
        outputs=tuple(to_answer(completion, output_type) for completion in completions),
        finish_reason=tuple(completion.finished.reason.value for completion in completions),
    )


def to_warning(completions: Sequence[Completion]) -> str | None:
    """Return what the header `X-Warning` says about texts that were cut."""
    cut = sum(completion.finished.reason is FinishReason.LENGTH for completion in completions)
    if not cut:
        return None
    return f"{cut} of {len(completions)} texts were cut at their limit; max_new_tokens sets it."


def to_batch_reply(progress: Progress, output_type: OutputType | None) -> OutputsReply | NothingYetReply:
    """Return what has come of a batch: the prompts before the first unfinished one, null for the others.

    Clients count the reasons that are not null and read so many outputs from the front.
    """
    done = progress.finished_prefix()
    if not done:
        return NothingYetReply()
    rest = (None,) * (progress.count - len(done))
    outputs = to_outputs(done, output_type)
    return OutputsReply((*outputs.outputs, *rest), (*outputs.finish_reason, *rest))


def to_polled_reply(progress: Progress, output_type: OutputType | None) -> OutputsReply | NothingYetReply:
    """Return what has come of a stream: each text so far; a typed object when it is whole."""
    if not progress.has_begun:
        return NothingYetReply()
    return OutputsReply(
        _to_outputs_so_far(progress, output_type),
        tuple(each.finished.reason.value if each else None for each in progress.completions),
    )


def to_streaming_reply(progress: Progress, output_type: OutputType | None, poll_id: str) -> StreamingReply:
    """Return what has come of a stream, for clients up to 2.1.8."""
    outputs = _to_outputs_so_far(progress, output_type)
    return StreamingReply(
        server=poll_id,
        status=tuple(completion is not None for completion in progress.completions),
        data=tuple(NothingYetReply() if output is None else output for output in outputs),
    )


def to_reservation(body: ReservationBody, now: datetime) -> ReservationReply:
    """Return a reservation of all that was asked for: this machine has no other guests. `now` is naive UTC."""
    size = body.batch_size or DEFAULT_BATCH_SIZE
    return ReservationReply(
        reservation_id=1,
        start_time=now.isoformat(timespec="seconds"),
        end_time=(now + RESERVED_FOR).isoformat(timespec="seconds"),
        capacity_remaining=max(body.capacity or 0, size),
        dynamic_max_batch_size=size,
    )


def _to_outputs_so_far(progress: Progress, output_type: OutputType | None) -> tuple[Answer | None, ...]:
    if output_type is None:
        return tuple(OutputReply(progress.text_of(index)) for index in range(progress.count))
    return tuple(
        None if completion is None else to_answer(completion, output_type)
        for completion in progress.completions
    )


def _to_requests(
    body: CompletionBody, output_type: OutputType | None, loaded: LoadedModel
) -> list[GenerationRequest]:
    limits = [int(limit) for limit in (body.max_new_tokens, body.max_tokens) if limit is not None]
    limit = min(limits) if limits else None
    if output_type is None:
        return [_to_free_request(prompt, limit, loaded) for prompt in body.prompts]
    schema = to_schema(
        output_type, max_text=choose_max_text(output_type, context_length=loaded.context_length)
    )
    return [_to_typed_request(prompt, output_type, schema, limit, loaded) for prompt in body.prompts]


def _to_free_request(prompt: str, limit: int | None, loaded: LoadedModel) -> GenerationRequest:
    return GenerationRequest(
        prompt=_to_prompt(prompt, "", loaded),
        sampling=Sampling(temperature=0.0, repetition_penalty=REPETITION_PENALTY),
        max_tokens=limit or DEFAULT_NEW_TOKENS,
    )


def _to_typed_request(
    prompt: str, output_type: OutputType, schema: str, limit: int | None, loaded: LoadedModel
) -> GenerationRequest:
    request = GenerationRequest(
        prompt=_to_prompt(prompt, f"\nAnswer as JSON with {to_words(output_type)}.", loaded),
        sampling=Sampling(temperature=0.0),
        constraint=JsonSchemaConstraint(schema),
    )
    # The schema is longer than the keys and braces that it asks for, so they fit whatever the limit is.
    return request if limit is None else msgspec.structs.replace(request, max_tokens=limit + len(schema))


def _to_prompt(prompt: str, request: str, loaded: LoadedModel) -> Prompt:
    if has_template_markers(prompt):
        return TextPrompt(prompt)
    if loaded.has_chat_template:
        return ChatPrompt((Message(Role.USER, prompt + request),))
    return TextPrompt(f"{prompt}{request}\n" if request else prompt)
