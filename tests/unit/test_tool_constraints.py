"""Demanded calls: whatever is written under the constraint is calls in the model's format that fit the schemas."""

import json
import random
import re
from typing import Any

import pytest
from llguidance import LLMatcher

from fakes.tiny_tokenizer import TinyTokenizer, write_at_random
from fakes.tool_texts import FAMILIES, PING, TOOLS, Family, parse, to_reply
from puna.domain.chat import Tool, ToolChoice, ToolChoiceMode
from puna.domain.constraint import JsonSchemaConstraint, LarkConstraint
from puna.errors import InvalidRequestError
from puna.prompting.output_format import choose_output_format

PROPERTIES = {
    "city": {"type": "string", "maxLength": 12},
    "days": {"type": "integer", "minimum": 0, "maximum": 9},
    "unit": {"enum": ["C", "F", 7]},
    "note": {"type": "string"},
    "limit": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    "code": {"type": "string", "pattern": "^[a-c/]{2,4}$"},
    "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 2},
    "place": {
        "type": "object",
        "properties": {"is_far": {"type": "boolean"}},
        "required": ["is_far"],
        "additionalProperties": False,
    },
}
TRIP_SCHEMA = {
    "type": "object",
    "properties": PROPERTIES,
    "required": ["city", "unit", "place"],
    "$defs": {"tag": {"enum": ["x", "y"]}},
}
TRIP = Tool("plan-trip", "Plans a trip.", json.dumps(TRIP_SCHEMA))
MAYBE = Tool(
    "maybe", "", '{"type": "object", "properties": {"a": {"type": "boolean"}, "b b": {"type": "null"}}}'
)
OFFERED = (TRIP, MAYBE, PING)
REQUIRED = ToolChoice(ToolChoiceMode.REQUIRED)
NAMED = ToolChoice(ToolChoiceMode.NAMED, "plan-trip")
GENERIC = FAMILIES["generic"].output_format
FORMATS = {str(family.output_format.tools): (name, family) for name, family in FAMILIES.items()}
each_format = pytest.mark.parametrize(
    "family", [family for _, family in FORMATS.values()], ids=[name for name, _ in FORMATS.values()]
)
each_vocabulary = pytest.mark.parametrize("has_special_tokens", [False, True], ids=["text", "special tokens"])


def expect_fitting(name: str, arguments: str) -> None:
    value = json.loads(arguments)
    assert isinstance(value, dict)
    match name:
        case "ping":
            assert value == {}
        case "maybe":
            assert value.keys() <= {"a", "b b"}
            assert value.get("a", True) in (True, False)
            assert value.get("b b") is None
        case _:
            assert name == "plan-trip"
            expect_trip(value)


def expect_trip(value: dict[str, Any]) -> None:
    assert {"city", "unit", "place"} <= value.keys() <= {*PROPERTIES}
    assert isinstance(value["city"], str)
    assert len(value["city"]) <= 12
    assert value["unit"] in ("C", "F", 7)
    assert value["place"] in ({"is_far": True}, {"is_far": False})
    assert type(value.get("days", 0)) is int
    assert 0 <= value.get("days", 0) <= 9
    assert isinstance(value.get("note", ""), str)
    assert isinstance(value.get("limit"), int | float | None)
    assert re.fullmatch("[a-c/]{2,4}", value.get("code", "ab"))
    assert len(value.get("tags", ())) <= 2
    assert {*value.get("tags", ())} <= {"x", "y"}


def write_calls(
    family: Family, choice: ToolChoice, rng: random.Random, *, has_special_tokens: bool, prompt: str = ""
) -> list[tuple[str, str]]:
    """Return the calls of a random text under the constraint, which has nothing else but reasoning."""
    output_format = family.output_format
    markers = sorted(output_format.markers)
    tokenizer = TinyTokenizer(markers if has_special_tokens else (), markers)
    known = {name: token for name, token in tokenizer.special_tokens.items() if name in output_format.markers}
    constraint = output_format.constrain_calls(prompt, OFFERED, choice, known)
    assert constraint is not None
    text = write_at_random(tokenizer, constraint, rng)
    reply = to_reply(parse(output_format, [text], prompt=prompt, tools=OFFERED))
    assert reply.content == ""
    assert reply.calls
    return reply.calls


@each_format
@each_vocabulary
def test_a_demanded_text_is_calls_with_fitting_arguments(family: Family, has_special_tokens: bool) -> None:
    rng = random.Random(3)
    for _ in range(6):
        for name, arguments in write_calls(family, REQUIRED, rng, has_special_tokens=has_special_tokens):
            expect_fitting(name, arguments)


@each_format
@each_vocabulary
def test_a_named_tool_is_called_once(family: Family, has_special_tokens: bool) -> None:
    rng = random.Random(4)
    for _ in range(3):
        calls = write_calls(family, NAMED, rng, has_special_tokens=has_special_tokens)
        assert [name for name, _ in calls] == ["plan-trip"]
        expect_fitting(*calls[0])


@each_format
def test_without_parallel_calls_there_is_one(family: Family) -> None:
    rng = random.Random(5)
    single = ToolChoice(ToolChoiceMode.REQUIRED, is_parallel=False)
    assert all(len(write_calls(family, single, rng, has_special_tokens=True)) == 1 for _ in range(3))


@each_format
@each_vocabulary
def test_reasoning_that_the_prompt_began_comes_to_its_end_first(
    family: Family, has_special_tokens: bool
) -> None:
    rng = random.Random(6)
    prompt = family.output_format.reasoning.open
    calls = write_calls(family, REQUIRED, rng, has_special_tokens=has_special_tokens, prompt=prompt)
    for name, arguments in calls:
        expect_fitting(name, arguments)


def test_several_calls_are_possible_but_not_without_end() -> None:
    rng = random.Random(7)
    family = FAMILIES["hermes"]
    counts = {len(write_calls(family, REQUIRED, rng, has_special_tokens=True)) for _ in range(40)}
    assert counts > {1, 2}
    assert max(counts) <= 8


def test_what_families_write_is_allowed() -> None:
    """The grammars follow the formats so closely that they allow the families' own texts."""
    tokenizer = TinyTokenizer()
    for name in ("hermes", "qwen coder", "mistral since 2025", "deepseek r1", "deepseek 3.1", "glm"):
        family = FAMILIES[name]
        constraint = family.output_format.constrain_calls("", TOOLS, REQUIRED, {})
        assert isinstance(constraint, LarkConstraint)
        matcher = LLMatcher(tokenizer.for_llguidance, LLMatcher.grammar_from_lark(constraint.grammar))
        text = family.text.removeprefix("Let me see.").lstrip("\n").encode()
        assert matcher.try_consume_tokens(list(text)) == len(text), name
        assert matcher.is_accepting(), name


@pytest.mark.parametrize("choice", [ToolChoice(), ToolChoice(ToolChoiceMode.NONE)])
def test_a_free_choice_constrains_nothing(choice: ToolChoice) -> None:
    assert GENERIC.constrain_calls("", TOOLS, choice, {}) is None


def test_the_generic_format_is_one_schema_so_that_it_can_be_closed_near_a_limit() -> None:
    constraint = GENERIC.constrain_calls("", OFFERED, REQUIRED, {})
    assert isinstance(constraint, JsonSchemaConstraint)
    schema = json.loads(constraint.schema)
    assert schema["properties"]["tool_calls"]["minItems"] == 1
    assert schema["$defs"]["tool_0"]["properties"]["tags"]["items"] == {"$ref": "#/$defs/tool_0/$defs/tag"}


def test_references_at_the_root_and_recursive_schemas_work() -> None:
    tree = {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {"of": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 1}},
                "required": ["of"],
            }
        },
    }
    rng = random.Random(8)
    tools = [Tool("plant", "", json.dumps(tree))]
    for marks in ("", "<tool_call>", "<tool_call> <function=", "[TOOL_CALLS]"):
        output_format = choose_output_format(marks)
        constraint = output_format.constrain_calls("", tools, REQUIRED, {})
        assert constraint is not None
        text = write_at_random(TinyTokenizer(words=output_format.markers), constraint, rng)
        name, arguments = to_reply(parse(output_format, [text], tools=tools)).calls[0]
        assert name == "plant"
        assert isinstance(json.loads(arguments)["of"], list)


def test_what_no_grammar_can_hold_is_left_to_the_tool() -> None:
    """Schemas as zod, pydantic and OpenAPI write them; a demanded call of such a tool is not refused."""
    ids = {
        "type": "array",
        "items": {"type": "integer", "format": "int64"},
        "uniqueItems": True,
        "maxItems": 2,
    }
    schema = {
        "type": "object",
        "properties": {"ids": ids, "key": {"type": "string", "format": "password", "maxLength": 3}},
        "required": ["ids", "key"],
        "not": {"required": ["other"]},
        "if": {"required": ["key"]},
        "then": {},
    }
    rng = random.Random(9)
    for family in FAMILIES.values():
        output_format = family.output_format
        tools = [Tool("look", "", json.dumps(schema))]
        constraint = output_format.constrain_calls("", tools, REQUIRED, {})
        assert constraint is not None
        text = write_at_random(TinyTokenizer(words=output_format.markers), constraint, rng)
        _, arguments = to_reply(parse(output_format, [text], tools=tools)).calls[0]
        assert {"ids", "key"} <= set(json.loads(arguments))


@pytest.mark.parametrize(
    ("tools", "choice", "field", "said"),
    [
        ((), REQUIRED, "tool_choice", "there are no tools"),
        (
            TOOLS,
            ToolChoice(ToolChoiceMode.NAMED, "other"),
            "tool_choice",
            "'other', which is not among the tools",
        ),
        (TOOLS, ToolChoice(ToolChoiceMode.NAMED), "tool_choice", "which is not among the tools"),
        ([Tool("bad", "", "[]")], REQUIRED, "tools", "'bad' must be a JSON schema"),
    ],
)
def test_what_cannot_be_demanded_is_said(
    tools: list[Tool], choice: ToolChoice, field: str, said: str
) -> None:
    with pytest.raises(InvalidRequestError, match=said) as caught:
        GENERIC.constrain_calls("", tools, choice, {})
    assert caught.value.field == field
