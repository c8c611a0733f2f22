"""LocalLab's values from and to the domain's. Pure.

What a prompt on `/generate` becomes
------------------------------------
LocalLab's own server wraps every prompt with system instructions in a chat format, and its users expect
"Explain quantum computing" to be answered. So:

- a model with a chat template gets the prompt as the user's turn, after the system prompt if there is one;
- a model without one (a base model) gets the bare text to continue, unless there is a system prompt, which
  only a conversation can carry;
- `"raw": true`, a field of Puna's own, sends the bare text to any model, and no instructions with it.

The system prompt is the request's `system_prompt`, else the instructions set for the model, else those for
all models. An empty `system_prompt` means none.
"""

from collections.abc import Sequence

from msgspec import UNSET

from puna.api.locallab.replies import (
    BatchReply,
    ChatReply,
    ChoiceReply,
    GenerateReply,
    MessageReply,
    UsageReply,
)
from puna.api.locallab.schema import BatchBody, ChatBody, GenerateBody, GenerationFields, PromptFields, pick
from puna.domain.chat import Message, Role
from puna.domain.generation import (
    ChatPrompt,
    Completion,
    GenerationRequest,
    Prompt,
    Sampling,
    TextPrompt,
    Usage,
)

DEFAULT_MAX_TOKENS = 8192
DEFAULT_TEMPERATURE = 0.7
DEFAULT_TOP_P = 0.9
DEFAULT_TOP_K = 80
DEFAULT_REPETITION_PENALTY = 1.15


def to_generation(body: GenerateBody, *, instructions: str, has_chat_template: bool) -> GenerationRequest:
    """Return the request of `/generate`."""
    prompt = _to_prompt(body.prompt, body, instructions, has_chat_template=has_chat_template)
    return _to_request(prompt, body)


def to_batch(body: BatchBody, *, instructions: str, has_chat_template: bool) -> list[GenerationRequest]:
    """Return the requests of `/generate/batch`, in order."""
    return [
        _to_request(_to_prompt(text, body, instructions, has_chat_template=has_chat_template), body)
        for text in body.prompts
    ]


def to_chat(body: ChatBody, *, instructions: str) -> GenerationRequest:
    """Return the request of `/chat`; instructions count where the conversation has no system message."""
    messages = [Message(message.role, message.content) for message in body.messages]
    has_system = any(message.role in {Role.SYSTEM, Role.DEVELOPER} for message in messages)
    if instructions and not has_system:
        messages.insert(0, Message(Role.SYSTEM, instructions))
    return _to_request(ChatPrompt(tuple(messages)), body)


def _to_prompt(text: str, body: PromptFields, instructions: str, *, has_chat_template: bool) -> Prompt:
    asked = pick(None, body.system_prompt, body.system_prompt_ts)
    system = instructions if asked is None else asked
    if body.raw or not (system or has_chat_template):
        return TextPrompt(text)
    turns = (
        (Message(Role.SYSTEM, system), Message(Role.USER, text)) if system else (Message(Role.USER, text),)
    )
    return ChatPrompt(turns)


def _to_request(prompt: Prompt, body: GenerationFields) -> GenerationRequest:
    limit = pick(
        DEFAULT_MAX_TOKENS, body.max_length, body.max_tokens, body.max_new_tokens, body.max_length_ts
    )
    return GenerationRequest(
        prompt=prompt,
        sampling=_to_sampling(body),
        max_tokens=int(limit),
        max_time_s=pick(None, body.max_time, body.max_time_ts),
    )


def _to_sampling(body: GenerationFields) -> Sampling:
    is_greedy = not pick(True, body.do_sample, body.do_sample_ts)
    return Sampling(
        temperature=0.0 if is_greedy else pick(DEFAULT_TEMPERATURE, body.temperature),
        top_p=pick(DEFAULT_TOP_P, body.top_p, body.top_p_ts),
        top_k=int(pick(DEFAULT_TOP_K, body.top_k, body.top_k_ts)),
        repetition_penalty=pick(
            DEFAULT_REPETITION_PENALTY, body.repetition_penalty, body.repetition_penalty_ts
        ),
    )


def from_completion(completion: Completion, model_id: str) -> GenerateReply:
    """Return the answer of `/generate`."""
    return GenerateReply(
        response=completion.text,
        text=completion.text,
        model=model_id,
        model_id=model_id,
        usage=from_usage(completion.finished.usage),
        reasoning=completion.reasoning or UNSET,
    )


def from_chat_completion(completion: Completion, model_id: str) -> ChatReply:
    """Return the answer of `/chat`."""
    choice = ChoiceReply(
        index=0,
        message=MessageReply(Role.ASSISTANT.value, completion.text, completion.reasoning or UNSET),
        finish_reason=completion.finished.reason.value,
    )
    return ChatReply(choices=(choice,), model=model_id, usage=from_usage(completion.finished.usage))


def from_completions(completions: Sequence[Completion], model_id: str) -> BatchReply:
    """Return the answer of `/generate/batch`."""
    usage = sum((completion.finished.usage for completion in completions), start=Usage())
    texts = tuple(completion.text for completion in completions)
    return BatchReply(responses=texts, model=model_id, usage=from_usage(usage))


def from_usage(usage: Usage) -> UsageReply:
    """Return the three counts of the document."""
    return UsageReply(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
