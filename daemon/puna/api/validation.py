"""Bodies into typed structs, and complaints into sentences that name the field and what it may be."""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Generic, TypeVar

import msgspec
from msgspec import inspect

from puna.errors import InvalidRequestError

_Body = TypeVar("_Body")
_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]+)`")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_FOREIGN_TAG = re.compile(r"^Invalid value '(?P<value>[^']{1,64})'")
_HALF_A_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_STEP = re.compile(r"\.(?P<field>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")


class BodySchema(Generic[_Body]):
    """Turns bodies into one struct type. Make it once, at import; unknown fields are ignored."""

    def __init__(self, struct: type[_Body], *, foreign_names: Mapping[str, str] | None = None) -> None:
        """`foreign_names` maps names that other APIs use to the required field that is meant."""
        self.struct = struct
        self._decoder = msgspec.json.Decoder(struct)
        self._foreign_names = foreign_names or {}

    @cached_property
    def _type(self) -> inspect.Type:
        """What the struct looks like; only complaints need it, and it takes longer to make than the decoder."""
        return inspect.type_info(self.struct)

    def parse(self, body: bytes) -> _Body:
        """Return the struct. Raises `InvalidRequestError` for everything that is wrong with the body."""
        text = _decode_text(body)
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, ValueError):
                # A struct checks in `__post_init__` what concerns several fields, in words of its own.
                raise InvalidRequestError(str(error.__cause__)) from error
            raise self._explain(str(error), text) from error
        except msgspec.DecodeError as error:
            raise InvalidRequestError(
                f"The body is not valid JSON: {_describe_syntax(str(error), body)}."
            ) from error
        except RecursionError as error:
            raise InvalidRequestError("The body is not valid JSON: it is nested too deeply.") from error

    def _explain(self, complaint: str, text: str) -> InvalidRequestError:
        path = _path_of(complaint)
        missing = _MISSING.match(complaint)
        if missing:
            return self._explain_missing(".".join(filter(None, (path, missing["field"]))), text)
        expected = _expectation_at(self._type, path)
        if not path:
            return InvalidRequestError(f"The body must be {expected or 'a JSON object'}.")
        if expected is None:
            return InvalidRequestError(f"`{path}`: {_PATH.sub('', complaint)}.", field=path)
        tag = _FOREIGN_TAG.match(complaint)
        given = f", not {tag['value']}" if tag else ""
        return InvalidRequestError(f"`{path}` must be {expected}{given}.", field=path)

    def _explain_missing(self, field: str, text: str) -> InvalidRequestError:
        message = f"`{field}` is required."
        for foreign, meant in self._foreign_names.items():
            if meant == field and foreign in _fields_in(text):
                message = f"`{field}` is required; `{foreign}` is its name in another API."
        return InvalidRequestError(message, field=field)


def _fields_in(text: str) -> Collection[str]:
    """Return the names of an object's fields; none where more than one object stands there."""
    try:
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return ()


def _decode_text(body: bytes) -> str:
    if not body.strip():
        raise InvalidRequestError("The body is empty; send a JSON object.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"The body is not valid UTF-8 (byte {error.start}).") from error


def _describe_syntax(complaint: str, body: bytes) -> str:
    if "truncated" in complaint and _HALF_A_PAIR.search(body):
        return "a text has half of a surrogate pair"
    if "truncated" in complaint:
        return f"it ends too early, after {len(body)} bytes"
    return complaint.removeprefix("JSON is malformed: ")


def _path_of(complaint: str) -> str:
    """Return where it is, as `messages[0].role`; empty for the body itself."""
    found = _PATH.search(complaint)
    return found["path"].removeprefix(".") if found else ""


def _expectation_at(type_: inspect.Type, path: str) -> str | None:
    """Return what a value at that path may be, in words; None where the path leaves the known types."""
    at: inspect.Type | None = type_
    for step in _STEP.finditer(f".{path}" if path and not path.startswith("[") else path):
        at = _inside(at, step["field"]) if at is not None else None
    return None if at is None else describe_type(at)


def _inside(type_: inspect.Type, field: str | None) -> inspect.Type | None:
    """Return the type of a field, or of the items or values where `field` is None."""
    choices = _choices(type_)
    if field is None:
        return next((inner for inner in map(_item_type, choices) if inner is not None), None)
    structs = [each for each in choices if isinstance(each, inspect.StructType)]
    tags = tuple(str(each.tag) for each in structs if each.tag_field == field)
    if tags:
        return inspect.LiteralType(tags)
    return next(
        (each.type for struct in structs for each in struct.fields if each.encode_name == field), None
    )


def _item_type(type_: inspect.Type) -> inspect.Type | None:
    match type_:
        case inspect.ListType() | inspect.VarTupleType():
            return type_.item_type
        case inspect.DictType():
            return type_.value_type
        case _:
            return None


def describe_type(type_: inspect.Type) -> str:
    """Return a type and its range in words: `a number from 0 to 2`. Null goes without saying."""
    words = [_describe_one(choice) for choice in _choices(type_)]
    if "a whole number" in " ".join(words):
        # A whole number may be written 100.0, so it is a union of both types; one of them is enough to tell.
        words = [word for word in words if not word.startswith("a number")]
    return " or ".join(dict.fromkeys(words))


def _choices(type_: inspect.Type) -> Sequence[inspect.Type]:
    choices = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    return [choice for choice in map(_unwrap, choices) if not isinstance(choice, inspect.NoneType)]


def _unwrap(type_: inspect.Type) -> inspect.Type:
    return type_.type if isinstance(type_, inspect.Metadata) else type_


def _describe_one(type_: inspect.Type) -> str:
    match type_:
        case inspect.StrType():
            return _describe_string(type_.min_length, type_.max_length)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(type_.ge, type_.le)}"
        case inspect.FloatType():
            return f"a number{_range(type_.ge, type_.le)}"
        case inspect.EnumType():
            return f"one of {', '.join(str(member.value) for member in type_.cls)}"
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, type_.values))}"
        case inspect.ListType() | inspect.VarTupleType():
            return _describe_list(type_.min_length, type_.max_length)
        case _:
            return "an object"


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" of at most {_bound(high)}"
    return f" of at least {_bound(low)}" if high is None else f" from {_bound(low)} to {_bound(high)}"


def _bound(bound: float) -> str:
    """Return a bound with all its digits, where it has no others than those before the point."""
    return str(int(bound)) if bound == int(bound) else f"{bound:g}"


def _describe_string(low: int | None, high: int | None) -> str:
    if high:
        return f"a string of {low or 0} to {high} characters"
    return "a non-empty string" if low else "a string"


def _describe_list(low: int | None, high: int | None) -> str:
    if high:
        return f"a list of {low or 0} to {high} items"
    return "a list that is not empty" if low else "a list"
