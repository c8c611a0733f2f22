"""How the next token is chosen, from the fields that chat and text completions share. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from puna.api.openai.schema import MAX_TOKEN_ID, GenerationFields
from puna.domain.generation import GenerationRequest, Sampling
from puna.errors import InvalidRequestError

_SEEDS = 2**32
_WHOLE_CONTEXT = 2**31 - 1
_USUAL_CONTEXT = 4096
"""Of models elsewhere that do not tell theirs."""
_MAX_BIASES = 100_000
_MAX_DIGITS = len(str(MAX_TOKEN_ID))
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


def to_sampling(body: GenerationFields) -> Sampling:
    """Return the sampling; what is absent has OpenAI's default. Raises `InvalidRequestError`.

    The penalties may look at more than there can be: see `fit_windows`.
    """
    return Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_k=max(int(body.top_k or 0), 0),
        min_p=body.min_p or 0.0,
        repetition_penalty=body.repetition_penalty or body.repeat_penalty or 1.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        presence_penalty=body.presence_penalty or 0.0,
        penalty_window=_to_window(body),
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


def fit_windows(requests: Iterable[GenerationRequest], context_length: int) -> list[GenerationRequest]:
    """Return the requests with penalties that look at no more than the context, whose length the model tells."""
    longest = context_length or _USUAL_CONTEXT
    return [
        msgspec.structs.replace(
            request,
            sampling=msgspec.structs.replace(
                request.sampling, penalty_window=min(request.sampling.penalty_window, longest)
            ),
        )
        for request in requests
    ]


def _to_window(body: GenerationFields) -> int:
    """OpenAI's own penalties count the whole text, without the prompt; llama.cpp's the last tokens of both."""
    if body.repeat_last_n is not None:
        return _WHOLE_CONTEXT if body.repeat_last_n < 0 else int(body.repeat_last_n)
    return Sampling().penalty_window if _penalises_prompt(body) else _WHOLE_CONTEXT


def _penalises_prompt(body: GenerationFields) -> bool:
    return any(
        each is not None for each in (body.repeat_last_n, body.repetition_penalty, body.repeat_penalty)
    )


def _to_bias(biases: Mapping[str, float]) -> tuple[tuple[int, float], ...]:
    if len(biases) > _MAX_BIASES:
        raise InvalidRequestError(
            f"`logit_bias` must have at most {_MAX_BIASES} tokens, but has {len(biases)}.", field="logit_bias"
        )
    for token in biases:
        if not (token.isascii() and token.isdecimal() and len(token) <= _MAX_DIGITS):
            raise InvalidRequestError(
                "`logit_bias` must have token ids of the model as its names, such as 1234.",
                field="logit_bias",
            )
    return tuple((int(token), bias) for token, bias in biases.items())
