"""Typed answers: `out_type` read, as a JSON schema, in words for the model, and the model's text read back. Pure.

Every part of an object has a bound, so that a model which would never stop comes to its end: texts in
characters, whole numbers in digits, other numbers in digits on both sides of the point.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeGuard

import msgspec
from msgspec import Struct

from puna.api.encoding import encode_json
from puna.errors import GenerationError, InvalidRequestError

MAX_KEYS = 64
MAX_KEY_CHARACTERS = 100
MAX_CHOICES = 128
MAX_CHOICE_CHARACTERS = 200
MAX_SCHEMA_CHARACTERS = 60_000
MAX_TEXT_CHARACTERS = 2000
MIN_TEXT_CHARACTERS = 16
MAX_NUMBER = 10**15 - 1
"""Fifteen digits: every such number is exact in every client's JSON."""
DECIMALS = 1e-6

Value = str | int | float | bool


class Kind(StrEnum):
    """The four types of the document."""

    STR = "str"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"


_NAMES = {
    "str": Kind.STR,
    "string": Kind.STR,
    "int": Kind.INT,
    "integer": Kind.INT,
    "float": Kind.FLOAT,
    "number": Kind.FLOAT,
    "bool": Kind.BOOL,
    "boolean": Kind.BOOL,
}


class Key(Struct, frozen=True):
    """One key of the object: of a type, or one of some values."""

    name: str
    kind: Kind | None = None
    choices: tuple[Value, ...] = ()


OutputType = tuple[Key, ...]
"""What an object must look like, its keys in order."""


class TextSchema(Struct, frozen=True, kw_only=True, rename="camel"):
    """A bounded text."""

    type: str = "string"
    max_length: int


class IntegerSchema(Struct, frozen=True, kw_only=True):
    """A bounded whole number."""

    type: str = "integer"
    minimum: int = -MAX_NUMBER
    maximum: int = MAX_NUMBER


class NumberSchema(Struct, frozen=True, kw_only=True, rename="camel"):
    """A bounded number."""

    type: str = "number"
    minimum: int = -MAX_NUMBER
    maximum: int = MAX_NUMBER
    multiple_of: float = DECIMALS


class BooleanSchema(Struct, frozen=True, kw_only=True):
    """True or false."""

    type: str = "boolean"


class ChoiceSchema(Struct, frozen=True):
    """One of some values."""

    enum: tuple[Value, ...]


ValueSchema = TextSchema | IntegerSchema | NumberSchema | BooleanSchema | ChoiceSchema


class ObjectSchema(Struct, frozen=True, kw_only=True, rename="camel"):
    """Exactly these keys, in this order."""

    type: str = "object"
    properties: dict[str, ValueSchema]
    required: tuple[str, ...]
    additional_properties: bool = False


def parse_output_type(given: Mapping[str, object], field: str) -> OutputType:
    """Return what the value of the field asks for. Raises `InvalidRequestError`."""
    if not 1 <= len(given) <= MAX_KEYS:
        raise InvalidRequestError(f"`{field}` must have 1 to {MAX_KEYS} keys.", field=field)
    output_type = tuple(_parse_key(name, wanted, field) for name, wanted in given.items())
    if len(to_schema(output_type, max_text=MAX_TEXT_CHARACTERS)) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequestError(f"`{field}` is too large: shorten its lists of values.", field=field)
    return output_type


def choose_max_text(output_type: OutputType, *, context_length: int) -> int:
    """Return how long each text of the object may get, in characters.

    Half of the context is for them: a character is a token in the worst case that occurs.
    """
    texts = sum(key.kind is Kind.STR for key in output_type) or 1
    return min(max(context_length // 2 // texts, MIN_TEXT_CHARACTERS), MAX_TEXT_CHARACTERS)


def to_schema(output_type: OutputType, *, max_text: int) -> str:
    """Return the JSON schema of the object as text."""
    schema = ObjectSchema(
        properties={key.name: _to_value_schema(key, max_text) for key in output_type},
        required=tuple(key.name for key in output_type),
    )
    return encode_json(schema).decode()


def to_words(output_type: OutputType) -> str:
    """Return the keys as the model is told them: `age, units and mood (one of "good", "bad")`.

    What a key alone does not tell is its choices: the type of a number or a text is held by the schema, and
    words about types make small models stumble.
    """
    words = [f"{key.name}{_describe(key)}" for key in output_type]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def from_text(text: str, output_type: OutputType) -> dict[str, Value]:
    """Return the object that the model wrote, its keys in order. Raises `GenerationError` when it is none."""
    try:
        values = msgspec.json.decode(text, type=dict[str, Value])
        return {key.name: _to_value(values.pop(key.name), key) for key in output_type}
    except (msgspec.MsgspecError, KeyError) as error:
        raise GenerationError("The model's answer is not the object that was asked for.") from error


def _parse_key(name: str, wanted: object, field: str) -> Key:
    if not 1 <= len(name) <= MAX_KEY_CHARACTERS:
        raise InvalidRequestError(
            f"The keys of `{field}` must have 1 to {MAX_KEY_CHARACTERS} characters.", field=field
        )
    match wanted:
        case str() if kind := _NAMES.get(wanted.strip().lower()):
            return Key(name, kind)
        case list():
            return Key(name, None, _parse_choices(name, wanted, field))
        case _:
            raise InvalidRequestError(
                f"`{field}.{name}` must be str, int, float, bool or a list of values.",
                field=f"{field}.{name}",
            )


def _parse_choices(name: str, wanted: list[object], field: str) -> tuple[Value, ...]:
    choices = tuple(value for value in wanted if _is_choice(value))
    if not 1 <= len(wanted) <= MAX_CHOICES or len(choices) < len(wanted):
        raise InvalidRequestError(
            f"`{field}.{name}` must be a list of 1 to {MAX_CHOICES} values: texts of at most "
            f"{MAX_CHOICE_CHARACTERS} characters, numbers of at most 15 digits, true or false.",
            field=f"{field}.{name}",
        )
    return choices


def _is_choice(value: object) -> TypeGuard[Value]:
    match value:
        case bool():
            return True
        case str():
            return len(value) <= MAX_CHOICE_CHARACTERS
        case int() | float():
            return abs(value) <= MAX_NUMBER
        case _:
            return False


def _to_value_schema(key: Key, max_text: int) -> ValueSchema:
    match key.kind:
        case None:
            return ChoiceSchema(key.choices)
        case Kind.STR:
            return TextSchema(max_length=max_text)
        case Kind.INT:
            return IntegerSchema()
        case Kind.FLOAT:
            return NumberSchema()
        case Kind.BOOL:
            return BooleanSchema()


def _describe(key: Key) -> str:
    match key.kind:
        case None:
            choices = ", ".join(msgspec.json.encode(choice).decode() for choice in key.choices)
            return f" (one of {choices})"
        case Kind.BOOL:
            return " (true or false)"
        case Kind.STR | Kind.INT | Kind.FLOAT:
            return ""


def _to_value(value: Value, key: Key) -> Value:
    """Return the value as the type that was asked for: a whole number may stand for any number."""
    match key.kind, value:
        case Kind.BOOL, bool():
            return value
        case Kind.FLOAT, int() | float() if not isinstance(value, bool):
            return float(value)
        case Kind.INT, int() if not isinstance(value, bool):
            return value
        case Kind.STR, str():
            return value
        case None, _ if value in key.choices:
            return value
        case _:
            raise KeyError(key.name)
