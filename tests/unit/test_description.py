"""The parts of which the APIs' description is made."""

from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from puna.api.description import docstrings
from puna.api.description.docstrings import field_docs, handler_details, handler_summary
from puna.api.description.error_shape import error_schema
from puna.api.description.field_rows import to_rows, words_of
from puna.api.description.path_template import to_operation_id, to_parameters, to_template
from puna.api.description.samples import make_sample
from puna.api.description.schemas import Schemas


class Colour(Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Base(Struct, kw_only=True):
    """What all have."""

    size: Annotated[int, Meta(ge=1, le=9)] | Annotated[float, Meta(ge=1, le=9, multiple_of=1)] | None = None
    """How large.

    In metres.
    """
    plain: str


class Leaf(Base, kw_only=True):
    """A leaf."""

    colour: Colour = Colour.RED
    names: Annotated[list[str], Meta(min_length=1, max_length=3)] = msgspec.field(name="leafNames")
    """What it is called."""
    below: "Leaf | None" = None
    free: dict[str, Any] | None = None
    maybe: int | UnsetType = UNSET


class Cat(Struct, tag="cat", tag_field="type"):
    lives: int


class Dog(Struct, tag="dog", tag_field="type"):
    name: str
    lives: int


class Answer(Struct):
    """What only an encoder can handle."""

    what: tuple[Leaf | dict[str, int] | None, ...]
    count: int = 1


def schemas_of(type_: object, *, is_answer: bool = False) -> tuple[Any, dict[str, Any]]:
    schemas = Schemas()
    schema = schemas.of_answer("X", type_) if is_answer else schemas.of_body("X", type_)
    return schema, dict(schemas.components)


def test_a_struct_becomes_a_component_with_its_sentences_and_names_on_the_wire() -> None:
    schema, components = schemas_of(Leaf)
    assert schema == {"$ref": "#/components/schemas/XLeaf"}
    leaf = components["XLeaf"]
    assert leaf["description"] == "A leaf."
    assert leaf["required"] == ["plain", "leafNames"]
    assert leaf["properties"]["leafNames"] == {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "maxItems": 3,
        "description": "What it is called.",
    }
    assert leaf["properties"]["colour"] == {"$ref": "#/components/schemas/XColour", "default": "red"}
    assert leaf["properties"]["maybe"] == {"type": "integer"}
    assert components["XColour"] == {"description": "A colour.", "enum": ["red", "blue"]}


def test_a_whole_number_that_may_be_written_as_a_float_is_an_integer() -> None:
    _, components = schemas_of(Leaf)
    assert components["XLeaf"]["properties"]["size"] == {
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}],
        "description": "How large.\n\nIn metres.",
    }


def test_a_struct_that_holds_itself_refers_to_itself() -> None:
    _, components = schemas_of(Leaf)
    assert components["XLeaf"]["properties"]["below"]["anyOf"][0] == {"$ref": "#/components/schemas/XLeaf"}


def test_an_answer_has_its_defaults_always_and_what_may_be_unset_not() -> None:
    _, components = schemas_of(Answer, is_answer=True)
    assert components["XAnswer"]["required"] == ["what", "count"]
    assert "maybe" not in components["XLeaf"]["required"]
    assert components["XAnswer"]["properties"]["what"]["items"]["anyOf"] == [
        {"$ref": "#/components/schemas/XLeaf"},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "null"},
    ]


def test_tagged_structs_are_told_apart_by_their_tag() -> None:
    schema, components = schemas_of(Cat | Dog)
    assert schema["discriminator"] == {
        "propertyName": "type",
        "mapping": {"cat": "#/components/schemas/XCat", "dog": "#/components/schemas/XDog"},
    }
    assert components["XCat"]["properties"]["type"] == {"const": "cat"}
    assert components["XCat"]["required"] == ["type", "lives"]


def test_two_types_of_one_name_get_two_components() -> None:
    schemas = Schemas()
    other = msgspec.defstruct("Cat", [("legs", int)])
    first, second = schemas.of_body("X", Cat), schemas.of_body("X", other)
    assert first != second
    assert schemas.of_body("X", Cat) == first
    assert schemas.of_body("Y", Cat) == {"$ref": "#/components/schemas/YCat"}


@pytest.mark.parametrize("type_", [web.Response, set[web.Response]])
def test_a_type_that_is_not_for_the_wire_is_noticed(type_: object) -> None:
    with pytest.raises(TypeError):
        schemas_of(type_)


def test_fields_are_undescribed_where_there_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> str:
        raise OSError("could not get source code")

    assert field_docs(Leaf) == {"size": "How large.\n\nIn metres.", "names": "What it is called."}
    docstrings._docs_of_module.cache_clear()
    monkeypatch.setattr("inspect.getsource", fail)
    assert field_docs(Leaf) == {}
    docstrings._docs_of_module.cache_clear()


@pytest.mark.parametrize(
    ("doc", "summary"),
    [
        ("POST /generate.", "Make text"),
        ("POST /generate: a text for a prompt.", "A text for a prompt."),
        ("GET /models and /models/list: all of them.", "All of them."),
        ("GET /v1/models, /inf/models: all of them.", "All of them."),
        ("GET .../generate/{job_id}: how far it is.", "How far it is."),
        ("GET /chat, which one client uses.", "Make text, which one client uses."),
        ("Make it so.", "Make it so."),
        ("POST /x: the first\nline goes on.\n\nMore.", "The first line goes on."),
        (None, "Make text"),
    ],
)
def test_a_handler_is_summed_up_without_method_and_path(doc: str | None, summary: str) -> None:
    def make_text() -> None: ...

    make_text.__doc__ = doc
    assert handler_summary(make_text) == summary
    assert handler_details(make_text) == ("More." if doc and "More" in doc else "")


def test_paths_and_their_variables_are_translated() -> None:
    path = r"/a/{one}/b/{two:.+}/{three:\d{3}}"
    assert to_template(path) == "/a/{one}/b/{two}/{three}"
    one, two, three = to_parameters(path)
    assert (one.name, one.schema) == ("one", {"type": "string", "minLength": 1})
    assert two.description == "May have slashes in it."
    assert three.schema["pattern"] == r"^(?:\d{3})$"
    assert to_operation_id("x", "GET", path) == "x_get_a_one_b_two_three"
    assert to_operation_id("x", "GET", "/") == "x_get_root"


def test_the_schema_of_errors_allows_all_samples() -> None:
    schema = error_schema(
        [
            {"detail": "a", "error": {"param": None, "code": None}},
            {"detail": "b", "error": {"param": "x", "code": None}, "extra": 1},
        ]
    )
    assert schema == {
        "type": "object",
        "properties": {
            "detail": {"type": "string"},
            "error": {
                "type": "object",
                "properties": {"param": {"type": ["null", "string"]}, "code": {"type": "null"}},
                "required": ["param", "code"],
            },
            "extra": {"type": "number"},
        },
        "required": ["detail", "error"],
    }


def test_a_sample_has_what_must_be_there_and_ends() -> None:
    schema, components = schemas_of(Leaf)
    assert make_sample(schema, components) == {"plain": "text", "leafNames": ["text"]}
    endless = {"$ref": "#/components/schemas/E"}
    component = {
        "type": "object",
        "properties": {"e": {"type": "array", "items": endless}},
        "required": ["e"],
    }
    assert "e" in str(make_sample(endless, {"E": component}))


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (Annotated[int, Meta(ge=1, le=5)] | None, "whole number from 1 to 5"),
        (Annotated[float, Meta(ge=0.5)], "number of at least 0.5"),
        (Annotated[float, Meta(le=2)], "number of at most 2"),
        (Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)], "whole number"),
        (str | list[str], "string or list of strings"),
        (Annotated[list[dict[str, int]], Meta(min_length=1)], "list of objects, not empty"),
        (Annotated[list[bool], Meta(max_length=4)], "list of true or false, 0 to 4 of them"),
        (Literal["json"] | bool, '"json" or true or false'),
        (Colour, '"red" or "blue"'),
        (bytes, "string in base64"),
        (Any, "anything"),
    ],
)
def test_types_are_told_in_words(type_: object, words: str) -> None:
    schema, components = schemas_of(type_)
    assert words_of(schema, components) == words


def test_fields_inside_are_rows_with_dots_and_brackets() -> None:
    schema, components = schemas_of(list[Cat | Dog])
    rows = {row.name: row for row in to_rows(schema, components, is_answer=False)}
    assert list(rows) == ["[].type", "[].lives", "[].name"]
    assert rows["[].type"].type == '"cat" or "dog"'
    assert rows["[].lives"].is_required
    assert not rows["[].name"].is_required, "only dogs have names"


def test_rows_of_what_holds_itself_end() -> None:
    schema, components = schemas_of(Leaf)
    rows = {row.name: row for row in to_rows(schema, components, is_answer=False)}
    assert {"size", "plain", "leafNames", "below", "free"} <= set(rows)
    assert (rows["colour"].default, rows["size"].description) == ('"red"', "How large.\n\nIn metres.")
    assert "below.plain" not in rows
