"""Demands parameters that stand between tags: text as it is, all else as JSON of its schema."""

import json
import re

from puna.prompting.tools.grammar import Grammar
from puna.prompting.tools.schemas import (
    JsonObject,
    choices_of,
    definitions_of,
    properties_of,
    required_of,
    resolve,
    types_of,
)

_ANY = "(?s:.*)"


def write_parameters(grammar: Grammar, schema: JsonObject, begin: str, middle: str, end: str) -> str:
    """Return an expression for the parameters of a schema, in its order: `begin` name `middle` value `end`."""
    required = required_of(schema)
    fields = {**properties_of(schema), **{name: {} for name in required - properties_of(schema).keys()}}
    parts = []
    for name, field in fields.items():
        value = _write_value(grammar, field, schema, end)
        rule = grammar.rule(f"{grammar.literal(f'{begin}{name}{middle}')} {value}")
        parts.append(rule if name in required else f"{rule}?")
    return " ".join(parts)


def _write_value(grammar: Grammar, field: JsonObject, root: JsonObject, end: str) -> str:
    """Return an expression for a value and the tag behind it."""
    field = {**resolve(field, root), **field} if "$ref" in field else field
    choices = choices_of(field)
    if choices is not None:
        texts = [value if isinstance(value, str) else json.dumps(value) for value in choices]
        return f"{grammar.choice([grammar.literal(text) for text in texts])} {grammar.literal(end)}"
    if "string" in types_of(field, root):
        return _write_text(grammar, field, end)
    return f"{grammar.arguments({**definitions_of(root), **field})} {grammar.literal(end)}"


def _write_text(grammar: Grammar, field: JsonObject, end: str) -> str:
    """Return an expression for text that does not hold its own end."""
    tag = _escape(end.strip())
    text = f"/{_to_pattern(field)}/ & ~/{_ANY}{tag}{_ANY}/ & /{_ANY}/"
    before, token = grammar.split_at_token(end)
    whole = f"{grammar.terminal(text)} {grammar.literal(before)}"
    return f"{grammar.terminal(whole)} {grammar.literal(token)}" if token else grammar.rule(whole, "lazy")


def _to_pattern(field: JsonObject) -> str:
    """Return a regular expression for a whole text of a schema's length and pattern."""
    pattern = field.get("pattern")
    if isinstance(pattern, str) and pattern:
        head = "" if pattern.startswith("^") else _ANY
        tail = "" if pattern.endswith("$") and not pattern.endswith("\\$") else _ANY
        core = pattern.removeprefix("^")
        core = core[:-1] if not tail else core
        return f"{head}(?:{_slash(core)}){tail}"
    least, most = field.get("minLength"), field.get("maxLength")
    if not isinstance(least, int) and not isinstance(most, int):
        return _ANY
    return f"(?s:.{{{least if isinstance(least, int) else 0},{most if isinstance(most, int) else ''}}})"


def _escape(text: str) -> str:
    return _slash(re.escape(text))


def _slash(pattern: str) -> str:
    """Return a pattern that can stand between slashes."""
    return re.sub(r"(?<!\\)/", r"\\/", pattern)
