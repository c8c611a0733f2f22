"""Bodies into structs, and what is said about bad ones."""

from enum import StrEnum
from typing import Annotated

import pytest
from msgspec import Meta, Struct, field

from puna.api.validation import BodySchema
from puna.errors import InvalidRequestError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Item(Struct):
    colour: Colour
    tags: list[str] = []


class Order(Struct, kw_only=True):
    name: Annotated[str, Meta(min_length=1)]
    weight: Annotated[float, Meta(ge=0, le=2)] | None = None
    speed: Annotated[float, Meta(ge=0)] | None = None
    count: Annotated[int, Meta(ge=1, le=9)] | Annotated[float, Meta(ge=1, le=9, multiple_of=1)] | None = (
        field(default=None, name="howMany")
    )
    is_gift: bool | None = None
    items: Annotated[list[Item], Meta(max_length=2)] | None = None
    days: Annotated[list[int], Meta(min_length=1)] | None = None
    who: Item | str | None = None
    notes: dict[str, str] | None = None
    parts: dict[str, list[Item]] | None = None
    seed: Annotated[int, Meta(ge=-1, le=4_294_967_295)] | None = None
    rate: Annotated[float, Meta(ge=0.5, le=1e7)] | None = None
    code: Annotated[str, Meta(min_length=1, max_length=3)] | None = None

    def __post_init__(self) -> None:
        if self.is_gift and self.count:
            raise ValueError("A gift is a single one.")


ORDERS = BodySchema(Order, foreign_names={"title": "name"})


def complaint_about(body: bytes) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        ORDERS.parse(body)
    return refused.value.message


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "The body is empty; send a JSON object."),
        (b" \n", "The body is empty; send a JSON object."),
        (b"[1]", "The body must be an object."),
        (b"null", "The body must be an object."),
        (b'"x"', "The body must be an object."),
        (b'{"name":"x"', "The body is not valid JSON: it ends too early, after 11 bytes."),
        (b'{"name":"x"} y', "The body is not valid JSON: trailing characters (byte 14)."),
        (b'{"name":"x",}', "The body is not valid JSON: trailing comma in object (byte 12)."),
        (b"{name:1}", "The body is not valid JSON: object keys must be strings (byte 1)."),
        (b'{"name":"a\nb"}', "The body is not valid JSON: invalid character (byte 10)."),
        (b'{"name":"\xff"}', "The body is not valid UTF-8 (byte 9)."),
        (b'{"other":"\xff","name":"x"}', "The body is not valid UTF-8 (byte 10)."),
        (b'{"name":"x","weight":NaN}', "The body is not valid JSON: invalid character (byte 21)."),
        (b'{"name":"x","other":Infinity}', "The body is not valid JSON: invalid character (byte 20)."),
        (b'{"other":1}', "`name` is required."),
        (b'{"title":"x"}', "`name` is required; `title` is its name in another API."),
        (b"{}{}", "`name` is required."),
        (b'{"title":"x"} and more', "`name` is required."),
        (b'{"name":null}', "`name` must be a non-empty string."),
        (b'{"name":5}', "`name` must be a non-empty string."),
        (b'{"name":""}', "`name` must be a non-empty string."),
        (b'{"name":"x","weight":2.1}', "`weight` must be a number from 0 to 2."),
        (b'{"name":"x","weight":-1}', "`weight` must be a number from 0 to 2."),
        (b'{"name":"x","weight":true}', "`weight` must be a number from 0 to 2."),
        (b'{"name":"x","weight":"1"}', "`weight` must be a number from 0 to 2."),
        (b'{"name":"x","weight":1e999}', "`weight` must be a number from 0 to 2."),
        (b'{"name":"x","speed":-1}', "`speed` must be a number of at least 0."),
        (b'{"name":"x","howMany":0}', "`howMany` must be a whole number from 1 to 9."),
        (b'{"name":"x","howMany":1.5}', "`howMany` must be a whole number from 1 to 9."),
        (b'{"name":"x","howMany":false}', "`howMany` must be a whole number from 1 to 9."),
        (b'{"name":"x","howMany":' + b"9" * 400 + b"}", "`howMany` must be a whole number from 1 to 9."),
        (b'{"name":"x","is_gift":1}', "`is_gift` must be true or false."),
        (b'{"name":"x","is_gift":"true"}', "`is_gift` must be true or false."),
        (b'{"name":"x","items":{}}', "`items` must be a list of 0 to 2 items."),
        (b'{"name":"x","days":[]}', "`days` must be a list that is not empty."),
        (b'{"name":"x","days":["mo"]}', "`days[0]` must be a whole number."),
        (b'{"name":"x","items":[1]}', "`items[0]` must be an object."),
        (b'{"name":"x","items":[{"colour":"red"},{}]}', "`items[1].colour` is required."),
        (b'{"name":"x","items":[{"colour":"green"}]}', "`items[0].colour` must be one of red, blue."),
        (b'{"name":"x","items":[{"colour":"red","tags":["a",2]}]}', "`items[0].tags[1]` must be a string."),
        (b'{"name":"x","who":5}', "`who` must be an object or a string."),
        (b'{"name":"x","notes":[]}', "`notes` must be an object."),
        (b'{"name":"x","notes":{"a":1}}', "`notes[...]` must be a string."),
        (b'{"name":"x","parts":{"a":{}}}', "`parts[...]` must be a list."),
        (b'{"name":"x","parts":{"a":[{}]}}', "`parts[...][0].colour` is required."),
        (b'{"name":"x","parts":{"a":[{"colour":1}]}}', "`parts[...][0].colour` must be one of red, blue."),
        (b'{"name":"x","seed":1e300}', "`seed` must be a whole number from -1 to 4294967295."),
        (b'{"name":"x","rate":0}', "`rate` must be a number from 0.5 to 10000000."),
        (b'{"name":"\\ud800 x"}', "The body is not valid JSON: a text has half of a surrogate pair."),
        (b'{"name":"\\ud83d\\ude00', "The body is not valid JSON: it ends too early, after 21 bytes."),
        (b'{"name":"x","code":"abcd"}', "`code` must be a string of 1 to 3 characters."),
        (b'{"name":"x","is_gift":true,"howMany":2}', "A gift is a single one."),
    ],
)
def test_a_bad_body_is_told_in_one_sentence(body: bytes, complaint: str) -> None:
    assert complaint_about(body) == complaint


@pytest.mark.parametrize("field_name", [b"name", b"other"])
def test_a_body_nested_too_deeply_is_refused(field_name: bytes) -> None:
    deep = b'{"name":"x","' + field_name + b'":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert "`name` must be" in complaint_about(deep) or "nested too deeply" in complaint_about(deep)


@pytest.mark.parametrize("escape", [rb"\ud800", rb"\ud800 and more text", rb"\udc00 and more"])
def test_half_a_surrogate_pair_is_refused(escape: bytes) -> None:
    assert "not valid JSON" in complaint_about(b'{"name":"' + escape + b'"}')


def test_whole_numbers_may_be_written_as_floats() -> None:
    assert ORDERS.parse(b'{"name":"x","howMany":3.0,"weight":1}').count == 3


def test_null_unknown_fields_doubles_and_a_byte_order_mark_are_taken() -> None:
    order = ORDERS.parse('\ufeff{"name":"a","name":"ü","weight":null,"other":{"x":[1e999]}}'.encode())
    assert (order.name, order.weight) == ("ü", None)
