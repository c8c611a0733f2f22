"""Writes grammars in llguidance's Lark dialect (docs/syntax.md of llguidance)."""

import json
import re
from collections.abc import Mapping

from msgspec import Struct

from puna.domain.constraint import Constraint, JsonSchemaConstraint, LarkConstraint
from puna.prompting.tools.schemas import JsonObject

JSON_FORM = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": True,
}
"""JSON as templates write it: on one line, with blanks behind commas and colons. Of several alternatives one must fit;
no grammar can hold a text to exactly one."""
_ARGUMENTS = {**JSON_FORM, "lenient": True}
"""Keywords that no grammar can hold are left to the tool, which looks at its arguments anyway."""


class Offer(Struct, frozen=True):
    """A tool that must or may be called: its name and the schema of its arguments."""

    name: str
    schema: JsonObject


class Grammar:
    """Collects rules. Expressions are Lark text that stands for itself, so they can be joined by blanks."""

    def __init__(self, special_tokens: Mapping[str, int]) -> None:
        """`special_tokens` tells which texts are one token of the vocabulary, and which."""
        self._tokens = special_tokens
        names = sorted(filter(None, special_tokens), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, names)) or "(?!)")
        self._rules: list[str] = []
        self._schemas: dict[str, str] = {}

    def literal(self, text: str) -> str:
        """Return an expression for exactly this text, with its special tokens as such."""
        parts: list[str] = []
        end = 0
        for match in self._pattern.finditer(text):
            parts += [_quote(text[end : match.start()]), f"<[{self._tokens[match[0]]}]>"]
            end = match.end()
        parts.append(_quote(text[end:]))
        return " ".join(part for part in parts if part != '""') or '""'

    def rule(self, body: str, options: str = "") -> str:
        """Add a rule and return its name. `options` such as `lazy` are those of llguidance."""
        name = f"rule_{len(self._rules)}"
        self._rules.append(f"{name}{f'[{options}]' if options else ''}: {body}")
        return name

    def terminal(self, body: str) -> str:
        """Add a terminal, one lexeme, and return its name."""
        name = f"TERMINAL_{len(self._rules)}"
        self._rules.append(f"{name}: {body}")
        return name

    def arguments(self, schema: JsonObject) -> str:
        """Return an expression for JSON that fits the schema of a tool, as far as a grammar can hold it."""
        return self._json({**schema, "x-guidance": _ARGUMENTS})

    def json(self, schema: JsonObject) -> str:
        """Return an expression for JSON that fits a schema."""
        return self._json({**schema, "x-guidance": JSON_FORM})

    def _json(self, schema: JsonObject) -> str:
        text = json.dumps(schema)
        name = self.rule(f"%json {text}")
        self._schemas[name] = text
        return name

    def choice(self, expressions: list[str]) -> str:
        """Return an expression for any one of these."""
        return self.rule(" | ".join(expressions))

    def repeat(self, rule: str, between: str, max_count: int) -> str:
        """Return an expression for one to so many of a rule, with a text between them."""
        if max_count == 1:
            return rule
        more = self.rule(f"{self.literal(between)} {rule}" if between else rule)
        return f"{rule} {more}{{0,{max_count - 1}}}"

    def split_at_token(self, text: str) -> tuple[str, str]:
        """Return what stands before the first special token, which no terminal can hold, and the rest."""
        match = self._pattern.search(text)
        start = len(text) if match is None else match.start()
        return text[:start], text[start:]

    def finish(self, expression: str) -> Constraint:
        """Return the constraint for texts of this expression; that of a schema where it is nothing else."""
        if expression in self._schemas:
            return JsonSchemaConstraint(self._schemas[expression])
        return LarkConstraint("\n".join([f"start: {expression}", *self._rules, ""]))


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
