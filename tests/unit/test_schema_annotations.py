"""Notes in schemas go, what restricts a value stays."""

import pytest

from puna.prompting.tools.annotations import drop_annotations


@pytest.mark.parametrize("name", ["int64", "password", "uri-reference", "", "made-up"])
def test_a_format_that_nobody_holds_a_text_to_is_a_note(name: str) -> None:
    assert drop_annotations({"type": "string", "format": name}) == {"type": "string"}


@pytest.mark.parametrize("name", ["date-time", "email", "uuid"])
def test_a_format_that_texts_are_held_to_stays(name: str) -> None:
    schema: dict[str, object] = {"type": "string", "format": name}
    assert drop_annotations(schema) == schema


def test_notes_go_wherever_schemas_stand() -> None:
    note, plain = {"type": "integer", "format": "int32"}, {"type": "integer"}

    def around(inner: dict[str, str]) -> dict[str, object]:
        return {
            "properties": {"a": inner, "format": inner},
            "items": inner,
            "prefixItems": [inner, True],
            "anyOf": [inner],
            "additionalProperties": inner,
            "$defs": {"b": {"oneOf": [inner]}},
        }

    assert drop_annotations(around(note)) == around(plain)


def test_values_are_no_schemas() -> None:
    schema: dict[str, object] = {
        "enum": [{"format": "x"}],
        "const": {"format": "x"},
        "default": {"propertyNames": {}},
    }
    assert drop_annotations(schema) == schema


@pytest.mark.parametrize("names", [True, {}, {"type": "string"}])
def test_property_names_that_may_be_any_go(names: object) -> None:
    assert drop_annotations({"propertyNames": names}) == {}


def test_property_names_that_may_not_be_any_stay() -> None:
    schema: dict[str, object] = {"propertyNames": {"pattern": "^a"}}
    assert drop_annotations(schema) == schema
