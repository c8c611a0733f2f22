"""Schemas in words, and the fields of an object in rows: `messages[].role`. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from puna.api.description.replies import JsonSchema
from puna.api.description.schemas import options_of, resolve

_MAX_DEPTH = 4
"""Objects in objects that are shown; those below are just called objects."""
_MAX_CHOICES = 12
_MAX_BOUND = 2**53


@dataclass(frozen=True, kw_only=True)
class FieldRow:
    """One field. Names have dots for what is inside, and `[]` for the items of a list."""

    name: str
    type: str
    is_required: bool
    default: str
    """As JSON; empty where there is none."""
    description: str


def to_rows(schema: JsonSchema, components: Mapping[str, JsonSchema], *, is_answer: bool) -> list[FieldRow]:
    """Return the fields of an object, and of the objects inside; nothing for what is no object."""
    reader = _Reader(components, is_answer=is_answer)
    rows: dict[str, FieldRow] = {}
    for row in reader.rows_in(schema, "", ()):
        rows[row.name] = _join(rows[row.name], row) if row.name in rows else row
    return list(rows.values())


def words_of(schema: JsonSchema, components: Mapping[str, JsonSchema], *, with_null: bool = False) -> str:
    """Return what a value may be: `whole number from 1 to 10`."""
    options = [resolve(option, components) for option in options_of(schema)]
    if not with_null:
        options = [option for option in options if option.get("type") != "null"] or options
    inner = [
        words_of(one, components, with_null=with_null) if "anyOf" in one else _words(one, components)
        for one in options
    ]
    return " or ".join(dict.fromkeys(inner))


class _Reader:
    def __init__(self, components: Mapping[str, JsonSchema], *, is_answer: bool) -> None:
        self._components = components
        self._is_answer = is_answer

    def rows_in(self, schema: JsonSchema, prefix: str, above: tuple[object, ...]) -> list[FieldRow]:
        """Return the rows of all objects that a schema allows; `above` are the references on the way here."""
        if len(above) > _MAX_DEPTH:
            return []
        rows: list[FieldRow] = []
        options = [option for option in options_of(schema) if option.get("$ref", "") not in above]
        forms = [resolve(option, self._components) for option in options]
        required = _required_in_all([form for form in forms if form.get("type") == "object"])
        for option, form in zip(options, forms, strict=True):
            way = (*above, option.get("$ref"))
            if "anyOf" in form:
                rows += self.rows_in(form, prefix, way)
            if form.get("type") == "array":
                rows += self.rows_in(_schema_in(form, "items"), f"{prefix}[]", way)
            for name, property_ in _schema_in(form, "properties").items():
                full = f"{prefix}.{name}" if prefix else name
                rows.append(self._row(full, property_, is_required=name in required))
                rows += self.rows_in(property_, full, way)
        return rows

    def _row(self, name: str, schema: JsonSchema, *, is_required: bool) -> FieldRow:
        default = schema.get("default")
        return FieldRow(
            name=name,
            type=words_of(schema, self._components, with_null=self._is_answer),
            is_required=is_required,
            default="" if default is None else json.dumps(default),
            description=_description(schema, self._components),
        )


def _required_in_all(forms: Sequence[JsonSchema]) -> set[str]:
    """Return the fields that every form of an object must have."""
    required = [{str(name) for name in _list_in(form, "required")} for form in forms]
    return set.intersection(*required) if required else set()


def _description(schema: JsonSchema, components: Mapping[str, JsonSchema]) -> str:
    """Return what is said of the field, or else of the one type that it has."""
    own = schema.get("description", "")
    if own:
        return str(own)
    options = [option for option in options_of(schema) if option.get("type") != "null"]
    return str(resolve(options[0], components).get("description", "")) if len(options) == 1 else ""


def _join(one: FieldRow, other: FieldRow) -> FieldRow:
    """Return the row of a field that several forms of an object have."""
    types = dict.fromkeys([*one.type.split(" or "), *other.type.split(" or ")])
    return FieldRow(
        name=one.name,
        type=" or ".join(types),
        is_required=one.is_required and other.is_required,
        default=one.default if one.default == other.default else "",
        description=one.description or other.description,
    )


def _words(schema: JsonSchema, components: Mapping[str, JsonSchema]) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return _choices(schema["enum"])
    match schema.get("type"):
        case "integer":
            return f"whole number{_range(schema)}"
        case "number":
            return f"number{_range(schema)}"
        case "array":
            items = words_of(_schema_in(schema, "items"), components)
            return f"list of {_plural(items)}{_size(schema)}"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "string":
            return "string in base64" if schema.get("contentEncoding") == "base64" else "string"
        case "object":
            return "object"
        case list() as types:
            return " or ".join(map(str, types))
        case _:
            return "anything"


def _choices(values: object) -> str:
    assert isinstance(values, list)
    shown = [json.dumps(value) for value in values[:_MAX_CHOICES]]
    return " or ".join(shown) + (" or more" if len(values) > _MAX_CHOICES else "")


def _range(schema: JsonSchema) -> str:
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    match low, high:
        case None, None:
            return ""
        case _, None:
            return f" of at least {low}"
        case None, _:
            return f" of at most {high}"
        case _:
            return f" from {low} to {high}"


def _bound(schema: JsonSchema, name: str) -> object:
    """Return a bound that tells people something: not that of the machine's integers."""
    bound = schema.get(name)
    return None if isinstance(bound, int) and abs(bound) > _MAX_BOUND else bound


def _size(schema: JsonSchema) -> str:
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    if high is None:
        return ", not empty" if low else ""
    return f", {low} to {high} of them"


def _plural(words: str) -> str:
    """Return words for the items of a list."""
    return re.sub(r"\b(string|whole number|number|object)\b(?! in)", r"\1s", words)


def _list_in(schema: JsonSchema, name: str) -> list[Any]:
    inner = schema.get(name, [])
    return inner if isinstance(inner, list) else []


def _schema_in(schema: JsonSchema, name: str) -> Mapping[str, Any]:
    inner = schema.get(name, {})
    return inner if isinstance(inner, Mapping) else {}
