"""Prompts of every kind as tokens of one model."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from puna.domain.chat import Message, Role, Tool, ToolChoiceMode
from puna.domain.generation import ChatPrompt, InfillPrompt, Prompt, TextPrompt, TokenPrompt
from puna.errors import InvalidRequestError
from puna.llama.vocabulary import Vocabulary
from puna.prompting.chat_template import ChatFormatter


class TokenizedPrompt(Struct, frozen=True):
    """What the model reads."""

    tokens: list[int]
    text: str = ""
    """Of a conversation: the text that the template made of it."""
    tools: tuple[Tool, ...] = ()
    """Of a conversation: those that the model is told of."""


class PromptTokenizer:
    """Renders and tokenises. Usable beside the thread that decodes: the vocabulary is read-only."""

    def __init__(self, vocabulary: Vocabulary, formatter: ChatFormatter) -> None:
        self._vocabulary = vocabulary
        self._formatter = formatter

    def tokenize(self, prompt: Prompt, *, has_format: bool = False) -> TokenizedPrompt:
        """Return the tokens of a prompt; with `has_format` the model does not think unless it is asked to.

        Raises `InvalidRequestError` for a prompt that this model cannot take, `GenerationError` for one that its
        template refuses.
        """
        match prompt:
            case TextPrompt(text):
                return TokenizedPrompt(self._tokenize_text(text))
            case TokenPrompt(tokens):
                return TokenizedPrompt(self._check_tokens(tokens))
            case InfillPrompt(prefix, suffix):
                return TokenizedPrompt(self._tokenize_gap(prefix, suffix))
            case ChatPrompt():
                return self._tokenize_chat(prompt, has_format=has_format)

    def _tokenize_text(self, text: str) -> list[int]:
        """A prompt that names its beginning-of-text token gets no second one."""
        add_bos = not self._formatter.starts_with_bos(text)
        return self._vocabulary.tokenize(text, add_special=add_bos, parse_special=True)

    def _check_tokens(self, tokens: Sequence[int]) -> list[int]:
        size = self._vocabulary.n_tokens
        wrong = next((token for token in tokens if not 0 <= token < size), None)
        if wrong is not None:
            raise InvalidRequestError(
                f"The prompt has the token {wrong}, but this model's vocabulary has the tokens 0 to {size - 1}; "
                "send text, or tokens of this model.",
                field="prompt",
            )
        return list(tokens)

    def _tokenize_gap(self, prefix: str, suffix: str) -> list[int]:
        """Prefix, suffix, middle: the order in which models are trained to fill gaps."""
        marks = self._vocabulary.infill_tokens
        if marks is None:
            raise InvalidRequestError(
                "This model cannot insert text before a suffix; choose one that was trained to fill gaps.",
                field="suffix",
            )
        before = self._vocabulary.tokenize(prefix, add_special=False, parse_special=False)
        behind = self._vocabulary.tokenize(suffix, add_special=False, parse_special=False)
        return [*self._vocabulary.opening, marks.prefix, *before, marks.suffix, *behind, marks.middle]

    def _tokenize_chat(self, prompt: ChatPrompt, *, has_format: bool) -> TokenizedPrompt:
        messages, begun = _split_begun(prompt.messages)
        tools = () if prompt.choice.mode is ToolChoiceMode.NONE else prompt.tools
        text = self._formatter.render(
            messages,
            tools=tools,
            choice=prompt.choice,
            variables=self._variables(prompt, has_format=has_format),
        )
        if begun:
            text += self._formatter.output_format.begin_content(text) + begun
        return TokenizedPrompt(self._tokenize_text(text), text, tools)

    def _variables(self, prompt: ChatPrompt, *, has_format: bool) -> Mapping[str, object]:
        is_wanted = prompt.is_thinking
        if has_format and is_wanted is None and prompt.effort is None:
            is_wanted = False
        thinking = self._formatter.to_thinking_variables(is_wanted=is_wanted, effort=prompt.effort)
        return {**thinking, **msgspec.json.decode(prompt.template_variables, type=dict[str, object])}


def _split_begun(messages: Sequence[Message]) -> tuple[Sequence[Message], str]:
    """Return the conversation and the beginning of the answer, where the last message is that."""
    last = messages[-1] if len(messages) > 1 else None
    if last is None or last.role is not Role.ASSISTANT or last.tool_calls or not last.content:
        return messages, ""
    return messages[:-1], last.content
