"""The format for models whose template knows no tools: JSON, as the instructions in the prompt ask for it."""

from collections.abc import Sequence

from puna.domain.chat import ToolCall
from puna.prompting.output import Reading
from puna.prompting.reader import TextReader
from puna.prompting.tools.call_object import write_calls
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.json_format import JsonFormat
from puna.prompting.tools.pythonic import read_block
from puna.prompting.tools.schemas import JsonObject, has_references, move_references

_KEY = "tool_calls"
_PYTHON = Opener("```tool_code", "```", is_certain=False)
_JSON = JsonFormat(
    (
        Opener("{", is_certain=False, is_leading=True),
        Opener("[{", is_certain=False, is_leading=True),
        Opener("\n{", is_certain=False),
        Opener("```json", "```", is_certain=False),
        Opener("```tool_call", "```", is_certain=False),
        Opener("```\n{", "```", is_certain=False),
        Opener("<tool_call>", "</tool_call>", is_certain=False),
    ),
    begin="",
    end="",
)


class GenericFormat:
    """`{"tool_calls": [{"name": ..., "arguments": {...}}]}`, and what models make of it; Gemma's `tool_code`."""

    openers: Sequence[Opener] = (*_JSON.openers, _PYTHON)
    markers = _JSON.markers

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read calls of tools that are at hand: other JSON is an answer."""
        if opener is _PYTHON:
            return read_block(reader, opener, calls)
        return _JSON.read_calls(reader, opener, calls)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as the instructions ask for them."""
        return f'{{"{_KEY}": {write_calls(calls)}}}'

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return an expression for one JSON object, so that the constraint is a schema."""
        return grammar.arguments(_join_schemas(offers, max_calls))


def _join_schemas(offers: Sequence[Offer], max_calls: int) -> JsonObject:
    definitions: JsonObject = {}
    items: list[JsonObject] = []
    for index, offer in enumerate(offers):
        arguments: object = offer.schema
        if has_references(offer.schema):
            place = f"tool_{index}"
            definitions[place] = move_references(offer.schema, f"/$defs/{place}")
            arguments = {"$ref": f"#/$defs/{place}"}
        items.append(_object({"name": {"const": offer.name}, "arguments": arguments}))
    calls = {"type": "array", "items": {"anyOf": items}, "minItems": 1, "maxItems": max_calls}
    return {**_object({_KEY: calls}), **({"$defs": definitions} if definitions else {})}


def _object(properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
