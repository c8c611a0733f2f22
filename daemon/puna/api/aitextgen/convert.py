"""AITextGen's values from and to the domain's. Pure.

The document calls the prompt "the input text to start the generation from": it is text to be continued, by any
model, so no chat template is applied. `generated_text` is the continuation alone, and `max_length` counts its
tokens.
"""

from puna.api.aitextgen.schema import GenerateBody, GenerateReply
from puna.domain.generation import Completion, GenerationRequest, Sampling, TextPrompt

DEFAULT_MAX_LENGTH = 50
DEFAULT_TEMPERATURE = 0.7
DEFAULT_TOP_P = 0.9


def to_generation(body: GenerateBody) -> GenerationRequest:
    """Return the request."""
    return GenerationRequest(
        prompt=TextPrompt(body.prompt),
        sampling=Sampling(
            temperature=DEFAULT_TEMPERATURE if body.temperature is None else body.temperature,
            top_p=DEFAULT_TOP_P if body.top_p is None else body.top_p,
        ),
        max_tokens=int(body.max_length or DEFAULT_MAX_LENGTH),
    )


def from_completion(completion: Completion) -> GenerateReply:
    """Return the answer; its time is that of the model's work, without the wait for a free slot."""
    timing = completion.finished.timing
    return GenerateReply(
        generated_text=completion.text,
        tokens_generated=completion.finished.usage.completion_tokens,
        generation_time=round(timing.prompt_s + timing.decode_s, 4),
    )
