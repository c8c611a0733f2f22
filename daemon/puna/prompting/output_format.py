"""How one model's text becomes content, reasoning and calls, chosen from its chat template."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from puna.domain.chat import Tool, ToolChoice
from puna.domain.constraint import Constraint, JsonSchemaConstraint
from puna.prompting.content import ContentReading
from puna.prompting.output import OutputParser, Reading
from puna.prompting.parser import ReadingParser
from puna.prompting.reader import TextReader
from puna.prompting.reasoning import THINK, ReasoningTags, choose_reasoning_tags, read_reasoning
from puna.prompting.tools.choice import choose_tool_format
from puna.prompting.tools.constraint import constrain_answer, constrain_calls, write_reasoning
from puna.prompting.tools.format import Calls, SpecialTokens, ToolFormat
from puna.prompting.tools.grammar import Grammar
from puna.prompting.tools.harmony import (
    ANSWER_HEAD,
    HarmonyFormat,
    read_harmony,
    write_harmony_before_answer,
)


def new_call_id() -> str:
    """Return an id for a call that no other has."""
    return f"call_{secrets.token_hex(12)}"


@dataclass(frozen=True)
class OutputFormat:
    """Without state: one object serves all requests of a model."""

    reasoning: ReasoningTags
    tools: ToolFormat
    knows_reasoning: bool
    """Whether the template speaks of reasoning. Models that were taught it later have `<think>` all the same."""

    @property
    def markers(self) -> frozenset[str]:
        """Texts that must reach the parser even where they are special tokens, which have no text otherwise."""
        return self.tools.markers if self._is_harmony else self.tools.markers | self.reasoning.markers

    def new_parser(
        self, prompt: str, tools: Sequence[Tool] = (), *, new_id: Callable[[], str] = new_call_id
    ) -> OutputParser:
        """Return a parser for the text that follows this prompt. Without tools nothing is a call."""
        reader = TextReader()
        return ReadingParser(reader, self._read(reader, prompt, Calls(reader, tools, new_id)))

    def constrain_calls(
        self, prompt: str, tools: Sequence[Tool], choice: ToolChoice, special_tokens: SpecialTokens
    ) -> Constraint | None:
        """Return what the text after this prompt must look like; None where the choice leaves it free.

        `special_tokens` tells which of the markers are one token of the vocabulary, and which. Raises
        `InvalidRequestError` for a tool that is not there, and for schemas that are none.
        """
        is_open = not self._is_harmony and self.reasoning.is_open(prompt)
        behind = self.reasoning.close if is_open else ""
        return constrain_calls(self.tools, tools, choice, special_tokens, reasoning_close=behind)

    def constrain_answer(
        self,
        prompt: str,
        answer: Constraint,
        tools: Sequence[Tool],
        choice: ToolChoice,
        special_tokens: SpecialTokens,
        *,
        may_think: bool,
    ) -> Constraint:
        """Return what the text after this prompt must look like so that its content fits `answer`.

        Tools at hand may be called instead. Reasoning goes before where the prompt begins it already, or where
        the model may think. Regular expressions and grammars stand for the whole text. Errors as in
        `constrain_calls`.
        """
        if not isinstance(answer, JsonSchemaConstraint):
            return answer
        is_open = self.reasoning.is_open(prompt)

        def write_before(grammar: Grammar) -> str:
            if self._is_harmony:
                return write_harmony_before_answer(grammar)
            return write_reasoning(grammar, tags=self.reasoning, is_open=is_open, may_think=may_think)

        return constrain_answer(self.tools, answer, tools, choice, special_tokens, write_before=write_before)

    def begin_content(self, prompt: str) -> str:
        """Return what stands between this prompt and the content of an answer that was begun for the model."""
        if self._is_harmony:
            return ANSWER_HEAD
        return f"{self.reasoning.close}\n\n" if self.reasoning.is_open(prompt) else ""

    @property
    def _is_harmony(self) -> bool:
        return isinstance(self.tools, HarmonyFormat)

    def _read(self, reader: TextReader, prompt: str, calls: Calls) -> Reading[None]:
        if self._is_harmony:
            yield from read_harmony(reader, calls)
            return
        tags = self.reasoning
        blank = yield from read_reasoning(reader, tags, is_open=tags.is_open(prompt))
        is_wrapped = bool(tags.content_open) and (yield from reader.accept(tags.content_open))
        content = ContentReading(reader, self.tools if calls.are_possible else None, calls)
        yield from content.read(blank, tags.content_close if is_wrapped else "")


def choose_output_format(source: str | None, *, knows_tools: bool = True) -> OutputFormat:
    """Return the format of a model by its template's source.

    `knows_tools` tells whether the template shows tools to the model; where it does not, the model is told of
    them and of the generic format in a system message.
    """
    tags = choose_reasoning_tags(source)
    tools = choose_tool_format(source, knows_tools=knows_tools)
    return OutputFormat(tags or THINK, tools, tags is not None or isinstance(tools, HarmonyFormat))
