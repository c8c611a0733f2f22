"""Ollama's options into the domain's, with Ollama's defaults. Pure."""

from puna.api.encoding import encode_json
from puna.api.ollama.schema import AnswerBody, Options
from puna.domain.constraint import Constraint, JsonSchemaConstraint
from puna.domain.generation import GenerationRequest, Prompt, Sampling
from puna.domain.models import LoadedModel
from puna.errors import InvalidRequestError

DEFAULT_TEMPERATURE = 0.8
DEFAULT_TOP_P = 0.9
DEFAULT_TOP_K = 40
DEFAULT_REPEAT_PENALTY = 1.1
DEFAULT_REPEAT_LAST_N = 64
"""Ollama's defaults."""

_ANY_OBJECT = '{"type":"object"}'


def to_request(prompt: Prompt, body: AnswerBody, loaded: LoadedModel) -> GenerationRequest:
    """Return the request for a prompt. Raises `InvalidRequestError` for an option that cannot be honoured."""
    options = body.options or Options()
    if options.typical_p not in (None, 1.0):
        raise InvalidRequestError(
            "`options.typical_p` is not supported: leave it out, or set it to 1, which is off.",
            field="options.typical_p",
        )
    limit = int(options.num_predict or 0)
    return GenerationRequest(
        prompt=prompt,
        sampling=_to_sampling(options, loaded.context_length),
        max_tokens=limit if limit > 0 else None,
        stop=_to_stop(options.stop),
        top_logprobs=int(body.top_logprobs or 0) if body.logprobs else None,
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
