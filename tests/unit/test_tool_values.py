"""Values as models write them, and the schemas that say what they are."""

import json
import random

import pytest

from puna.domain.chat import Tool
from puna.prompting.reader import MalformedError, TextReader, gather
from puna.prompting.tools.schemas import decode_schema, move_references, types_of
from puna.prompting.tools.values import GEMMA, JSON, PYTHON, ValueSyntax, read_value
from puna.prompting.tools.xml_values import to_json


def read(text: str, syntax: ValueSyntax = JSON, size: int | None = None) -> str:
    """Return a value as JSON, read in pieces of a size."""
    reader = TextReader()
    parts: list[str] = []
    reading = gather(read_value(reader, syntax), parts)
    step = size or max(len(text), 1)
    for start in range(0, len(text), step):
        reader.push(text[start : start + step])
        if next(reading, StopIteration) is StopIteration:
            return "".join(parts)
    reader.end()
    assert list(reading) == []
    return "".join(parts)


def random_value(rng: random.Random, depth: int) -> object:
    if depth and rng.random() < 0.5:
        values = [random_value(rng, depth - 1) for _ in range(rng.randint(0, 4))]
        return values if rng.random() < 0.5 else {f'k{i}"é\n': value for i, value in enumerate(values)}
    return rng.choice([None, True, False, 0, -12, 3.25, 1e-9, "", "x", 'a "b" \\ \n\t🦙', "}]", "\u2028"])


def test_json_becomes_compact_json() -> None:
    rng = random.Random(1)
    for _ in range(300):
        value = random_value(rng, 5)
        text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2]))
        compact = read(text, size=rng.choice([None, 1, 3]))
        assert json.loads(compact) == value
        assert len(compact) <= len(text)


@pytest.mark.parametrize(
    ("text", "syntax", "value"),
    [
        (
            "{'a': True, \"b\": None, 'c': [False, 'it\\'s \"x\"']}",
            PYTHON,
            {"a": True, "b": None, "c": [False, 'it\'s "x"']},
        ),
        (
            '{city:<|"|>Li"ma\n\\n<|"|>,of:[{n:1}],<|"|>k e y<|"|>:true}',
            GEMMA,
            {"city": 'Li"ma\n\\n', "of": [{"n": 1}], "k e y": True},
        ),
        ('{ two words : "x" }', GEMMA, {"two words": "x"}),
        ("  [ ]", JSON, []),
    ],
)
def test_other_ways_to_write_values_become_json(text: str, syntax: ValueSyntax, value: object) -> None:
    for size in (None, 1, 2, 5):
        assert json.loads(read(text, syntax, size)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "}",
        "{,}",
        "[1,]",
        '{"a"}',
        '{"a":}',
        '{"a" 1}',
        "{a:1}",
        "[1 2]",
        "tru e",
        "01 ",
        "1. ",
        "+1 ",
        "'a'",
        "NaN ",
        "[1}",
    ],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    for size in (None, 1):
        with pytest.raises(MalformedError):
            read(text, size=size)


def test_a_value_as_deep_as_a_text_is_long_is_read() -> None:
    assert read("[" * 50_000 + "]" * 50_000) == "[" * 50_000 + "]" * 50_000


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        ({"enum": ["a", 1]}, {"string", "integer"}),
        ({"const": True}, {"boolean"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"integer", "null"}),
        ({"$ref": "#/$defs/a~1b"}, {"array"}),
        ({"$ref": "#/$defs/loop"}, {"string", "boolean", "integer", "number", "array", "object", "null"}),
        ({}, {"string", "boolean", "integer", "number", "array", "object", "null"}),
    ],
)
def test_a_schema_tells_its_types(schema: dict[str, object], types: set[str]) -> None:
    root: dict[str, object] = {"$defs": {"a/b": {"type": "array"}, "loop": {"$ref": "#/$defs/loop"}}}
    assert types_of(schema, root) == types


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("3", {"integer"}, 3),
        ("3", {"number"}, 3),
        ("3", {"string", "number"}, 3),
        ("3", {"string", "boolean"}, "3"),
        ("3 apples", {"integer"}, "3 apples"),
        (' { "a" : [1, 2] } ', {"object"}, {"a": [1, 2]}),
        ('"quoted"', {"integer"}, '"quoted"'),
        ("True", {"boolean"}, True),
        ("None", {"string", "null"}, None),
        ("None", {"string"}, "None"),
        ("1e999", {"number"}, "1e999"),
        ("[" * 100_000, {"array"}, "[" * 100_000),
    ],
)
def test_a_parameter_s_text_becomes_what_its_types_allow(text: str, types: set[str], value: object) -> None:
    assert json.loads(to_json(text, frozenset(types))) == value


def test_references_move_with_their_schema() -> None:
    schema = {"a": [{"$ref": "#"}, {"$ref": "#/$defs/x"}, {"$ref": "other.json"}]}
    assert move_references(schema, "/b") == {
        "a": [{"$ref": "#/b"}, {"$ref": "#/b/$defs/x"}, {"$ref": "other.json"}]
    }


def test_a_schema_without_a_type_is_that_of_an_object() -> None:
    assert decode_schema(Tool("a", "", "{}")) == {"type": "object"}
    assert decode_schema(Tool("a")) == {"type": "object", "properties": {}}
