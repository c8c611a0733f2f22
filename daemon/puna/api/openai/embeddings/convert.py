"""From the body of POST /v1/embeddings to the domain, and back. Pure."""

import struct
from base64 import b64encode

from puna.api.openai.embeddings.replies import EmbeddingReply, InputUsage
from puna.api.openai.embeddings.schema import MAX_INPUTS, EmbeddingsBody, VectorFormat
from puna.api.openai.schema import MAX_TOKEN_ID
from puna.domain.embedding import EmbeddingInput, EmbeddingRequest
from puna.errors import InvalidRequestError

_COMPONENT_BYTES = 4


def to_request(body: EmbeddingsBody) -> EmbeddingRequest:
    """Return what is asked for. Raises `InvalidRequestError`."""
    dimensions = None if body.dimensions is None else int(body.dimensions)
    return EmbeddingRequest(inputs=_to_inputs(body), dimensions=dimensions)


def check_dimensions(request: EmbeddingRequest, embedding_length: int) -> None:
    """Refuse more components than the model has. Raises `InvalidRequestError`."""
    if request.dimensions is not None and request.dimensions > embedding_length:
        raise InvalidRequestError(
            f"`dimensions` must be a whole number from 1 to {embedding_length}, which is what this model has.",
            field="dimensions",
        )


def to_item(vector: bytes, index: int, vector_format: VectorFormat | None) -> EmbeddingReply:
    """Return one vector as it is wanted; numbers are the default."""
    if vector_format is VectorFormat.BASE64:
        return EmbeddingReply(index=index, embedding=b64encode(vector).decode("ascii"))
    return EmbeddingReply(
        index=index, embedding=struct.unpack(f"<{len(vector) // _COMPONENT_BYTES}f", vector)
    )


def to_usage(prompt_tokens: int) -> InputUsage:
    """Return the figures of the inputs."""
    return InputUsage(prompt_tokens, prompt_tokens)


def _to_inputs(body: EmbeddingsBody) -> tuple[EmbeddingInput, ...]:
    given = [body.input] if isinstance(body.input, str) else body.input
    texts = [each for each in given if isinstance(each, str)]
    tokens = [each for each in given if isinstance(each, int)]
    token_lists = [tuple(each) for each in given if isinstance(each, list)]
    if any(not 0 <= token <= MAX_TOKEN_ID for each in (tokens, *token_lists) for token in each):
        raise InvalidRequestError(
            f"`input` must have token ids of the model, from 0 to {MAX_TOKEN_ID} at most.", field="input"
        )
    if len(tokens) == len(given):
        return (tuple(tokens),)
    if len(given) > MAX_INPUTS:
        raise InvalidRequestError(f"`input` must have at most {MAX_INPUTS} items.", field="input")
    if len(texts) == len(given):
        return _check_none_empty(tuple(texts))
    if len(token_lists) == len(given):
        return _check_none_empty(tuple(token_lists))
    raise InvalidRequestError(
        "`input` must be a string, a list of strings, a list of tokens or a list of lists of tokens.",
        field="input",
    )


def _check_none_empty(inputs: tuple[EmbeddingInput, ...]) -> tuple[EmbeddingInput, ...]:
    empty = next((index for index, each in enumerate(inputs) if not each), None)
    if empty is not None:
        name = "input" if len(inputs) == 1 else f"input[{empty}]"
        raise InvalidRequestError(f"`{name}` must not be empty.", field="input")
    return inputs
