"""How the next token is chosen, from the fields that chat and text completions share. Pure."""

from collections.abc import Mapping

import msgspec

from puna.api.openai.schema import GenerationFields
from puna.domain.generation import GenerationRequest, Sampling
from puna.errors import InvalidRequestError

_SEEDS = 2**32
_REFUSED = ("grammar", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs")


def check_shared(body: GenerationFields) -> None:
    """Refuse what would change the text and is not served. Raises `InvalidRequestError`."""
    for field in _REFUSED:
        if getattr(body, field):
            raise InvalidRequestError(
                f"`{field}` is not supported; send `response_format` with a JSON schema to "
                "/v1/chat/completions.",
                field=field,
            )


def to_sampling(body: GenerationFields, *, context_length: int) -> Sampling:
    """Return the sampling; what is absent has OpenAI's default. Raises `InvalidRequestError`."""
    return Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_k=max(int(body.top_k or 0), 0),
        min_p=body.min_p or 0.0,
        repetition_penalty=body.repetition_penalty or body.repeat_penalty or 1.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        presence_penalty=body.presence_penalty or 0.0,
        penalty_window=_to_window(body, context_length),
        penalises_prompt=_penalises_prompt(body),
        logit_bias=_to_bias(body.logit_bias or {}),
        seed=None if body.seed is None or body.seed == -1 else int(body.seed) % _SEEDS,
    )


def to_stop(body: GenerationFields) -> tuple[str, ...]:
    """Return the stop strings; an empty one is none."""
    given = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return tuple(text for text in given if text)


def vary(request: GenerationRequest, count: int) -> list[GenerationRequest]:
    """Return so many requests for one prompt; where a seed is given, each has one of its own."""
    seed = request.sampling.seed
    if seed is None:
        return [request] * count
    return [
        msgspec.structs.replace(
            request, sampling=msgspec.structs.replace(request.sampling, seed=(seed + index) % _SEEDS)
        )
        for index in range(count)
    ]


def _to_window(body: GenerationFields, context_length: int) -> int:
    """OpenAI's own penalties count the whole text, without the prompt; llama.cpp's the last tokens of both."""
    if body.repeat_last_n is not None:
        return context_length if body.repeat_last_n < 0 else int(body.repeat_last_n)
    return Sampling().penalty_window if _penalises_prompt(body) else context_length


def _penalises_prompt(body: GenerationFields) -> bool:
    return any(
        each is not None for each in (body.repeat_last_n, body.repetition_penalty, body.repeat_penalty)
    )


def _to_bias(biases: Mapping[str, float]) -> tuple[tuple[int, float], ...]:
    for token in biases:
        if not (token.isascii() and token.isdecimal()):
            raise InvalidRequestError(
                "`logit_bias` must have token ids of the model as its names, such as 1234.",
                field="logit_bias",
            )
    return tuple((int(token), bias) for token, bias in biases.items())
