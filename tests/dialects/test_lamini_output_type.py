"""`out_type` as a JSON schema and in words, and the model's text back as an object."""

import json
from typing import Any

import msgspec
import pytest
from llguidance import LLMatcher, LLTokenizer

from puna.api.encoding import encode_json
from puna.api.lamini.output_type import (
    MAX_CHOICES,
    MAX_KEYS,
    Key,
    Kind,
    OutputType,
    choose_max_text,
    from_text,
    parse_output_type,
    to_schema,
    to_words,
)
from puna.errors import GenerationError, InvalidRequestError

CARL = (Key("age", Kind.INT), Key("units", Kind.STR))
ALL = {
    "name": "str",
    "age": "int",
    "height": "float",
    "hat": "bool",
    "mood": ["good", "bad"],
    "stars": [1, 2.5],
}


def accepts(output_type: OutputType, text: str, *, max_text: int = 20) -> bool:
    """Whether the constraint lets a model write this text, to its end."""
    schema = to_schema(output_type, max_text=max_text)
    grammar = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    tokens = tokenizer.tokenize_str(text)
    return bool(
        matcher.validate_tokens(tokens) == len(tokens)
        and matcher.consume_tokens(tokens)
        and matcher.is_accepting()
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("str", Kind.STR),
        ("string", Kind.STR),
        ("int", Kind.INT),
        ("integer", Kind.INT),
        ("float", Kind.FLOAT),
        ("number", Kind.FLOAT),
        ("bool", Kind.BOOL),
        ("boolean", Kind.BOOL),
        (" String ", Kind.STR),
    ],
)
def test_types_have_two_names_each(name: str, kind: Kind) -> None:
    assert parse_output_type({"Answer": name}, "out_type") == (Key("Answer", kind),)


def test_keys_keep_their_order() -> None:
    names = [key.name for key in parse_output_type(ALL, "out_type")]
    assert names == list(ALL)
    schema = json.loads(to_schema(parse_output_type(ALL, "out_type"), max_text=100))
    assert (list(schema["properties"]), schema["required"]) == (names, names)


def test_a_typed_object_is_one_json_schema() -> None:
    assert json.loads(to_schema(parse_output_type(ALL, "out_type"), max_text=100)) == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 100},
            "age": {"type": "integer", "minimum": -999999999999999, "maximum": 999999999999999},
            "height": {
                "type": "number",
                "minimum": -999999999999999,
                "maximum": 999999999999999,
                "multipleOf": 1e-6,
            },
            "hat": {"type": "boolean"},
            "mood": {"enum": ["good", "bad"]},
            "stars": {"enum": [1, 2.5]},
        },
        "required": list(ALL),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"age":10,"units":"years"}',
        '{"age":-999999999999999,"units":""}',
        '{"age":0,"units":"twenty characters.. "}',
        '{"age":1,"units":"caf\u00e9 \\"\\n\U0001f600"}',
    ],
)
def test_llguidance_takes_the_schema_and_what_fits_it(text: str) -> None:
    assert accepts(CARL, text)
    assert from_text(text, CARL) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"units":"years","age":10}',
        '{"age":10}',
        '{"age":10,"units":"years","more":1}',
        '{"age":"10","units":"years"}',
        '{"age":1.5,"units":"years"}',
        '{"age":1234567890123456,"units":"years"}',
        '{"age":10,"units":"one character too much"}',
        '{"age": 10,"units":"years"}',
        '{"age":10,"units":"years"',
    ],
)
def test_llguidance_refuses_what_does_not_fit(text: str) -> None:
    assert not accepts(CARL, text)


def test_every_number_has_a_bound_on_both_sides_of_the_point() -> None:
    height = (Key("height", Kind.FLOAT),)
    for number in ("1", "-1.5", "0.000001", "999999999999999", "3.14159"):
        assert accepts(height, f'{{"height":{number}}}'), number
    for number in ("0.0000001", "1234567890123456", "1e5", "01", "1."):
        assert not accepts(height, f'{{"height":{number}}}'), number


def test_choices_are_taken_as_they_are() -> None:
    output_type = parse_output_type({"label": ["A", "B"], "stars": [1, 2.5, True]}, "output_type")
    assert accepts(output_type, '{"label":"A","stars":2.5}')
    assert not accepts(output_type, '{"label":"C","stars":1}')
    values = from_text('{"label":"A","stars":2.5}', output_type)
    assert values == {"label": "A", "stars": 2.5}


def test_the_largest_type_is_a_schema_that_compiles() -> None:
    largest = parse_output_type({f"key {number}": "float" for number in range(MAX_KEYS)}, "out_type")
    assert accepts(largest, encode_json({key.name: 1 for key in largest}).decode())
    choices = parse_output_type({"one": [f"value {number}" for number in range(MAX_CHOICES)]}, "out_type")
    assert accepts(choices, '{"one":"value 127"}')


def test_numbers_come_back_in_the_type_that_was_asked_for() -> None:
    output_type = (Key("a", Kind.FLOAT), Key("b", Kind.INT), Key("c", Kind.BOOL))
    values = from_text('{"a":3,"b":4,"c":true}', output_type)
    assert [type(value) for value in values.values()] == [float, int, bool]
    assert encode_json(values) == b'{"a":3.0,"b":4,"c":true}'


def test_an_object_comes_back_in_the_order_that_was_asked_for() -> None:
    assert list(from_text('{"units":"years","age":10}', CARL)) == ["age", "units"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "[]",
        '{"age":10,"units":"years"',
        '{"age":10}',
        '{"age":"10","units":"years"}',
        '{"age":1.5,"units":"years"}',
        '{"age":true,"units":"years"}',
        '{"age":null,"units":"years"}',
        '{"age":10,"units":["years"]}',
    ],
)
def test_a_text_that_is_no_such_object_is_a_failure(text: str) -> None:
    with pytest.raises(GenerationError, match="not the object that was asked for"):
        from_text(text, CARL)


def test_a_value_outside_of_its_choices_is_a_failure() -> None:
    with pytest.raises(GenerationError):
        from_text('{"label":"C"}', (Key("label", None, ("A", "B")),))


def test_the_model_is_told_its_keys_and_what_it_may_choose_from() -> None:
    assert to_words(CARL) == "age and units"
    assert to_words(CARL[:1]) == "age"
    assert to_words((*CARL, Key("hat", Kind.BOOL), Key("mood", None, ("gut", "schön", 3)))) == (
        'age, units, hat (true or false) and mood (one of "gut", "schön", 3)'
    )


@pytest.mark.parametrize(
    ("texts", "context_length", "characters"),
    [(1, 512, 256), (2, 512, 128), (4, 8192, 1024), (1, 100_000, 2000), (64, 512, 16), (0, 512, 256)],
)
def test_texts_share_half_of_the_context(texts: int, context_length: int, characters: int) -> None:
    output_type = tuple(Key(str(number), Kind.STR) for number in range(texts)) or (Key("n", Kind.INT),)
    assert choose_max_text(output_type, context_length=context_length) == characters


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "`out_type` must have 1 to 64 keys."),
        ({str(number): "int" for number in range(65)}, "`out_type` must have 1 to 64 keys."),
        ({"": "int"}, "The keys of `out_type` must have 1 to 100 characters."),
        ({"x" * 101: "int"}, "The keys of `out_type` must have 1 to 100 characters."),
        ({"age": "date"}, "`out_type.age` must be str, int, float, bool or a list of values."),
        ({"age": {"type": "int"}}, "`out_type.age` must be str, int, float, bool or a list of values."),
        ({"age": None}, "`out_type.age` must be str, int, float, bool or a list of values."),
        ({"age": 7}, "`out_type.age` must be str, int, float, bool or a list of values."),
    ],
)
def test_a_type_that_is_none_is_refused_by_name(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_output_type(given, "out_type")
    assert refused.value.message == complaint


@pytest.mark.parametrize(
    "choices", [[], ["x"] * (MAX_CHOICES + 1), ["x" * 201], [10**15], [None], [[]], [{"a": 1}], ["A", None]]
)
def test_choices_out_of_bounds_are_refused(choices: list[object]) -> None:
    with pytest.raises(InvalidRequestError, match=r"`output_type\.mood` must be a list of 1 to 128 values"):
        parse_output_type({"mood": choices}, "output_type")


def test_a_schema_that_would_be_too_large_is_refused() -> None:
    given = {f"key {key}": [f"{number:0200}" for number in range(MAX_CHOICES)] for key in range(MAX_KEYS)}
    with pytest.raises(InvalidRequestError, match="`out_type` is too large"):
        parse_output_type(given, "out_type")


def test_numbers_that_json_lets_pass_do_no_harm() -> None:
    huge = msgspec.json.decode(b"[1e308, 123456789012345678901234567890]")
    for number in huge:
        with pytest.raises(InvalidRequestError):
            parse_output_type({"stars": [number]}, "out_type")
