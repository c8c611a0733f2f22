"""Text completions from and to the domain's values. Pure."""

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from puna.api.openai.answer_head import AnswerHead
from puna.api.openai.completions.replies import TextChoiceReply, TextReply
from puna.api.openai.logprobs import TextLogprobsWriter
from puna.api.openai.replies import UsageReply
from puna.api.openai.sampling import check_shared, to_sampling, to_stop, vary
from puna.api.openai.schema import MAX_CHOICES, MAX_TOKEN_ID, CompletionBody, PromptItem
from puna.api.openai.usage import to_usage
from puna.domain.generation import (
    Completion,
    Finished,
    FinishReason,
    GenerationRequest,
    InfillPrompt,
    Prompt,
    TextPrompt,
    TokenPrompt,
)
from puna.domain.models import LoadedModel
from puna.errors import InvalidRequestError

DEFAULT_NEW_TOKENS = 16
"""As OpenAI documents."""


class TextStyle(Struct, frozen=True, kw_only=True):
    """How an answer is written, beside what it says."""

    echoes: tuple[str, ...]
    """What stands before each text: its prompt, or nothing."""
    per_prompt: int = 1
    """Texts of each prompt."""
    wants_logprobs: bool = False
    wants_usage: bool = False
    """Whether a stream tells what it cost."""


def check_supported(body: CompletionBody) -> None:
    """Refuse what is not served, or contradicts itself. Raises `InvalidRequestError`."""
    check_shared(body)
    if body.model is None:
        raise InvalidRequestError("`model` is required; requests for Lamini name it `model_name`.")
    refusals = {
        "best_of": body.best_of not in {None, body.count} and "must be the same as `n`, or absent",
        "logprobs": body.echo
        and body.logprobs is not None
        and "cannot be told of a prompt: leave out `logprobs` or `echo`",
        "echo": body.echo and body.suffix and "cannot be combined with `suffix`",
    }
    for field, refusal in refusals.items():
        if refusal:
            raise InvalidRequestError(f"`{field}` {refusal}.", field=field)


def to_prompts(body: CompletionBody) -> list[str] | list[tuple[int, ...]]:
    """Return the texts, or the tokens, of each prompt. Raises `InvalidRequestError` for a mixture."""
    given: Sequence[PromptItem] = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    texts = [each for each in given if isinstance(each, str)]
    tokens = [each for each in given if isinstance(each, int)]
    lists = [tuple(each) for each in given if isinstance(each, list)]
    if tokens and not texts and not lists:
        lists = [tuple(tokens)]
    elif len(given) not in (len(texts), len(lists)):
        raise InvalidRequestError(
            "`prompt` must be a string, a list of strings, a list of token ids or a list of such lists.",
            field="prompt",
        )
    if any(not 0 <= token <= MAX_TOKEN_ID for each in lists for token in each):
        raise InvalidRequestError(
            f"`prompt` must have token ids of the model, from 0 to {MAX_TOKEN_ID} at most.", field="prompt"
        )
    return texts or lists


def to_requests(body: CompletionBody) -> list[GenerationRequest]:
    """Return a request for each text: those of the first prompt, then of the next. Raises `InvalidRequestError`.

    `fit_windows` makes them fit the model, and `check_infill` says whether it can do it.
    """
    prompts = to_prompts(body)
    if len(prompts) * body.count > MAX_CHOICES:
        raise InvalidRequestError(
            f"`prompt` and `n` ask for {len(prompts) * body.count} texts; at most {MAX_CHOICES} are made at once.",
            field="prompt",
        )
    sampling = to_sampling(body)
    requests = [
        GenerationRequest(
            prompt=_to_prompt(prompt, body.suffix or ""),
            sampling=sampling,
            max_tokens=_to_limit(body),
            stop=to_stop(body),
            top_logprobs=None if body.logprobs is None else int(body.logprobs),
        )
        for prompt in prompts
    ]
    return [each for request in requests for each in vary(request, body.count)]


def check_infill(body: CompletionBody, loaded: LoadedModel) -> None:
    """Refuse a gap for a model that fills none. Raises `InvalidRequestError`."""
    if body.suffix and not loaded.can_infill:
        raise InvalidRequestError(
            "`suffix` is not supported by this model: it was not trained to fill gaps.", field="suffix"
        )


def to_style(body: CompletionBody) -> TextStyle:
    """Return how the answer is written. Raises `InvalidRequestError` for tokens that shall be echoed."""
    echoes = [_to_echo(prompt) if body.echo else "" for prompt in to_prompts(body)]
    return TextStyle(
        echoes=tuple(echo for echo in echoes for _ in range(body.count)),
        per_prompt=body.count,
        wants_logprobs=body.logprobs is not None,
        wants_usage=body.wants_usage,
    )


def from_completions(completions: Sequence[Completion], head: AnswerHead, style: TextStyle) -> TextReply:
    """Return the whole answer."""
    choices = tuple(_to_choice(index, each, style) for index, each in enumerate(completions))
    usages = [each.finished.usage for each in completions]
    return to_reply(choices, head, to_usage(usages, per_prompt=style.per_prompt))


def to_reply(
    choices: tuple[TextChoiceReply, ...], head: AnswerHead, usage: UsageReply | UnsetType | None = UNSET
) -> TextReply:
    """Return an answer, or an event of a stream."""
    return TextReply(
        id=head.id,
        created=head.created,
        model=head.model,
        system_fingerprint=head.fingerprint,
        choices=choices,
        usage=usage,
    )


def to_finish_reason(finished: Finished) -> str:
    """Return why a text ended: it cannot call tools."""
    return "length" if finished.reason is FinishReason.LENGTH else "stop"


def _to_choice(index: int, completion: Completion, style: TextStyle) -> TextChoiceReply:
    return TextChoiceReply(
        index=index,
        text=style.echoes[index] + completion.text,
        logprobs=TextLogprobsWriter().write(completion.logprobs) if style.wants_logprobs else None,
        finish_reason=to_finish_reason(completion.finished),
    )


def _to_prompt(prompt: str | tuple[int, ...], suffix: str) -> Prompt:
    if not suffix:
        return TextPrompt(prompt) if isinstance(prompt, str) else TokenPrompt(prompt)
    if not isinstance(prompt, str):
        raise InvalidRequestError("`suffix` needs a prompt that is text.", field="suffix")
    return InfillPrompt(prompt, suffix)


def _to_limit(body: CompletionBody) -> int | None:
    if body.max_tokens is None:
        return DEFAULT_NEW_TOKENS
    return None if body.max_tokens < 0 else int(body.max_tokens)


def _to_echo(prompt: str | tuple[int, ...]) -> str:
    if not isinstance(prompt, str):
        raise InvalidRequestError("`echo` needs a prompt that is text.", field="echo")
    return prompt
