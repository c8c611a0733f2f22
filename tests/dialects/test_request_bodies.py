"""What holds for the bodies of all routes: null is the same as absent, and lists end somewhere."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import inspect

from puna.api.anthropic import schema as anthropic
from puna.api.anthropic.schema import COUNT_TOKENS, MESSAGES
from puna.api.openai import schema as openai
from puna.api.openai.chat.convert import to_requests
from puna.api.openai.chat.schema import CHAT
from puna.api.openai.embeddings.schema import EMBEDDINGS
from puna.api.openai.rerank.schema import RERANK
from puna.api.openai.responses.schema import RESPONSE
from puna.api.openai.schema import COMPLETION
from puna.api.validation import BodySchema
from puna.errors import InvalidRequestError
from puna.prompting.stop_strings import MAX_STOP_STRINGS

BODIES = (CHAT, COMPLETION, EMBEDDINGS, RERANK, RESPONSE, MESSAGES, COUNT_TOKENS)


def structs_in(type_: object) -> Iterator[inspect.StructType]:
    match type_:
        case inspect.StructType():
            yield type_
            for field in type_.fields:
                yield from structs_in(field.type)
        case inspect.UnionType():
            for each in type_.types:
                yield from structs_in(each)
        case inspect.ListType():
            yield from structs_in(type_.item_type)
        case inspect.Metadata():
            yield from structs_in(type_.type)


def takes_null(type_: inspect.Type) -> bool:
    match type_:
        case inspect.Metadata():
            return takes_null(type_.type)
        case inspect.UnionType():
            return any(map(takes_null, type_.types))
        case _:
            return isinstance(type_, inspect.NoneType | inspect.AnyType)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.struct.__name__)
def test_what_may_be_absent_may_be_null(body: BodySchema[Any]) -> None:
    refusing = {
        f"{struct.cls.__name__}.{field.encode_name}"
        for struct in structs_in(inspect.type_info(body.struct))
        for field in struct.fields
        if not (field.required or takes_null(field.type))
    }
    assert refusing == set()


MESSAGE = {"role": "user", "content": "x"}
PARTS = [{"type": "text", "text": "x"}] * 10_001


@pytest.mark.parametrize(
    ("body", "fields", "field"),
    [
        (CHAT, {"messages": [MESSAGE] * 10_001}, "messages"),
        (CHAT, {"messages": [MESSAGE | {"content": PARTS}]}, "messages[0].content"),
        (RESPONSE, {"input": [MESSAGE] * 10_001}, "input"),
        (RESPONSE, {"input": [MESSAGE | {"content": PARTS}]}, "input[0].content"),
        (MESSAGES, {"model": "m", "max_tokens": 1, "messages": [MESSAGE] * 10_001}, "messages"),
        (MESSAGES, {"model": "m", "max_tokens": 1, "messages": [MESSAGE], "system": PARTS}, "system"),
        (COMPLETION, {"prompt": [1] * 1_000_001}, "prompt"),
        (COMPLETION, {"prompt": [[1] * 1_000_001]}, "prompt[0]"),
        (EMBEDDINGS, {"input": [[1] * 1_000_001]}, "input[0]"),
        (CHAT, {"messages": [MESSAGE], "stop": ["x"] * 65}, "stop"),
        (CHAT, {"messages": [MESSAGE], "tools": [{}] * 513}, "tools"),
        (RESPONSE, {"input": "x", "tools": [{"type": "function"}] * 513}, "tools"),
        (
            MESSAGES,
            {"model": "m", "max_tokens": 1, "messages": [MESSAGE], "stop_sequences": ["x"] * 65},
            "stop_sequences",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_lists_that_would_hold_up_everybody_are_refused(
    body: BodySchema[Any], fields: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequestError, match=r"to \d+ items") as refused:
        body.parse(json.dumps(fields).encode())
    assert refused.value.field == field


def test_biases_end_somewhere() -> None:
    biases = dict.fromkeys(map(str, range(100_001)), 1)
    body = CHAT.parse(json.dumps({"messages": [MESSAGE], "logit_bias": biases}).encode())
    with pytest.raises(InvalidRequestError, match="at most 100000 tokens, but has 100001") as refused:
        to_requests(body)
    assert refused.value.field == "logit_bias"


def test_workers_take_as_many_stop_strings_as_bodies_may_have() -> None:
    assert {openai.MAX_STOPS, anthropic.MAX_STOPS} == {MAX_STOP_STRINGS}
