"""What a text must look like when a tool has to be called."""

from collections.abc import Callable, Sequence

from puna.domain.chat import Tool, ToolChoice, ToolChoiceMode
from puna.domain.constraint import Constraint, JsonSchemaConstraint
from puna.errors import InvalidRequestError
from puna.prompting.reasoning import ReasoningTags
from puna.prompting.tools.annotations import drop_annotations
from puna.prompting.tools.format import SpecialTokens, ToolFormat
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.schemas import close, decode_schema, decode_schema_text

MAX_CALLS = 8
"""Calls in one demanded answer: without a limit some models never end."""


def constrain_calls(
    tool_format: ToolFormat,
    tools: Sequence[Tool],
    choice: ToolChoice,
    special_tokens: SpecialTokens,
    *,
    reasoning_close: str = "",
) -> Constraint | None:
    """Return the constraint for one or more calls in a model's own format, with arguments that fit the schemas.

    None where the choice demands no call. With `reasoning_close` the text begins within reasoning, which goes on
    up to that tag. Objects get no properties that their schema does not list, unless it speaks of others.
    Raises `InvalidRequestError` where no tool is there, or its schema is none.
    """
    wanted = choose_tools(tools, choice)
    if not wanted:
        return None
    grammar = Grammar(special_tokens)
    calls = _write_calls(grammar, tool_format, wanted, choice)
    return grammar.finish(
        f"{_write_reasoning(grammar, reasoning_close)} {calls}" if reasoning_close else calls
    )


def constrain_answer(
    tool_format: ToolFormat,
    answer: JsonSchemaConstraint,
    tools: Sequence[Tool],
    choice: ToolChoice,
    special_tokens: SpecialTokens,
    *,
    write_before: Callable[[Grammar], str],
) -> Constraint:
    """Return the constraint for an answer that fits a schema, or calls of the tools instead.

    `write_before` returns the expression of what stands before both, or nothing. Raises `InvalidRequestError`
    for schemas that are none.
    """
    grammar = Grammar(special_tokens)
    schema = decode_schema_text(answer.schema)
    before, content = write_before(grammar), grammar.json(drop_annotations(schema))
    if tools:
        content = grammar.choice([content, _write_calls(grammar, tool_format, tools, choice)])
    return grammar.finish(f"{before} {content}" if before else content)


def write_reasoning(grammar: Grammar, *, tags: ReasoningTags, is_open: bool, may_think: bool) -> str:
    """Return an expression for the reasoning before an answer: none, one that is there, or one that may be."""
    if is_open:
        return _write_reasoning(grammar, tags.close)
    if not may_think:
        return ""
    return f"{grammar.rule(f'{grammar.literal(tags.open)} {_write_reasoning(grammar, tags.close)}')}?"


def _write_calls(grammar: Grammar, tool_format: ToolFormat, tools: Sequence[Tool], choice: ToolChoice) -> str:
    offers = [Offer(tool.name, close(decode_schema(tool))) for tool in tools]
    is_single = choice.mode is ToolChoiceMode.NAMED or not choice.is_parallel
    return tool_format.write_grammar(grammar, offers, 1 if is_single else MAX_CALLS)


def choose_tools(tools: Sequence[Tool], choice: ToolChoice) -> Sequence[Tool]:
    """Return the tools of which one must be called; none where the choice demands none."""
    if choice.mode is ToolChoiceMode.REQUIRED:
        if not tools:
            raise InvalidRequestError(
                "tool_choice demands a call, but there are no tools.", field="tool_choice"
            )
        return tools
    if choice.mode is not ToolChoiceMode.NAMED:
        return ()
    wanted = [tool for tool in tools if tool.name == choice.name]
    if not wanted:
        name = (choice.name or "")[:100]
        raise InvalidRequestError(
            f"tool_choice names the tool '{name}', which is not among the tools.", field="tool_choice"
        )
    return wanted


def _write_reasoning(grammar: Grammar, close: str) -> str:
    blank = grammar.terminal("/[ \\n]{1,2}/")
    before, token = grammar.split_at_token(close)
    if token and not before:
        return f"{grammar.terminal('/(?s:.*)/')} {grammar.literal(close)} {blank}?"
    return f"{grammar.rule(f'/(?s:.*)/ {grammar.literal(close)}', 'lazy')} {blank}?"
