"""What a text must look like: the general form behind typed objects, JSON schemas and tool calls of all dialects."""

from msgspec import Struct


class JsonSchemaConstraint(Struct, frozen=True, tag="json_schema"):
    """The text is JSON that fits a schema, its keys in the schema's order.

    It is on one line, with a space behind commas and colons: the way in which models have read most JSON.
    """

    schema: str
    """The schema as JSON text; `{}` is any JSON, `{"type": "object"}` any object."""


class RegexConstraint(Struct, frozen=True, tag="regex"):
    """The whole text matches a regular expression (Rust syntax, without look-around and back references)."""

    pattern: str


class LarkConstraint(Struct, frozen=True, tag="lark"):
    """The text is in the language of a grammar in llguidance's Lark dialect."""

    grammar: str


Constraint = JsonSchemaConstraint | RegexConstraint | LarkConstraint
