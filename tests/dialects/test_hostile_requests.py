"""What no client should send, to every route that /openapi.json lists: it is refused in words, and nothing breaks."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import aiohttp
import pytest
from yarl import URL

from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon

HEADERS = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
TRAINS = {"/v1/aitextgen/finetune"}
"""What begins a training when the body is sound."""
ENDS_THE_DAEMON = {"/puna/v1/shutdown"}

BODIES = {
    "nothing": b"",
    "half": b'{"model": "demo", "prompt": "x',
    "two": b"{}{}",
    "a list": b"[]",
    "a text": b'"demo"',
    "null": b"null",
    "no number": b'{"max_tokens": NaN, "max_length": NaN}',
    "half an emoji": b'{"prompt": "\\ud83d", "input": "\\ud83d", "model": "\\ud83d"}',
    "no UTF-8": b'{"prompt": "\xff", "model": "\xff"}',
    "a deep list": b'{"model": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "a deep object": b'{"model":' * 10_000 + b"1" + b"}" * 10_000,
}
VALUES = (
    "null",
    "true",
    "-1",
    "1e308",
    "9223372036854775808",
    "1" + "0" * 400,
    "0.5",
    '""',
    '"a\\u0000b"',
    '"../../../etc/passwd"',
    '"\\r\\nX-Evil: 1"',
    json.dumps("x" * 5_000),
    "[]",
    "[null]",
    '["a", 1, {}]',
    "[[[[]]]]",
    "[{}]",
    "{}",
    '{"": null}',
    '{"type": "x"}',
    '[{"type": "text"}]',
    '[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/"}}]}]',
    "[" + ",".join(["1"] * 2_000) + "]",
)
SEGMENTS = (
    "%00",
    "%ff",
    "..%2f..%2fetc%2fpasswd",
    "..%5c",
    "%0d%0aX-Evil:1",
    "x" * 4_000,
    "%F0%9F%98%80",
    "-1",
    "9" * 40,
)


class Operation(NamedTuple):
    """A method of a path, with the schema of its body where it takes one."""

    method: str
    path: str
    example: Mapping[str, Any] | None
    fields: tuple[str, ...]


@pytest.fixture
async def operations(daemon: RunningDaemon, client: aiohttp.ClientSession) -> list[Operation]:
    async with client.get("/openapi.json") as answer:
        document = await answer.json()
    organisation = daemon.services.keys.default_organisation.id
    found = [
        to_operation(method.upper(), path.replace("{organisation_id}", organisation), content, document)
        for path, methods in document["paths"].items()
        if path not in TRAINS | ENDS_THE_DAEMON
        for method, content in methods.items()
    ]
    assert len(found) > 100
    return found


def to_operation(method: str, path: str, content: Any, document: Any) -> Operation:
    media = content.get("requestBody", {}).get("content", {}).get("application/json")
    if media is None:
        return Operation(method, path, None, ())
    several = [each["value"] for each in media.get("examples", {}).values()]
    example = several[0] if several else media["example"]
    return Operation(method, path, example, tuple(fields_of(media["schema"], document)))


def fields_of(schema: Any, document: Any) -> Iterator[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield from schema.get("properties", {})
    for branch in schema.get("anyOf", ()):
        yield from fields_of(branch, document)


async def complain(client: aiohttp.ClientSession, method: str, path: str, body: bytes | None) -> str | None:
    """Send it; return what is wrong with the answer, or None.

    What succeeds is no concern here. What fails must do so as JSON with a sentence, and 503 is for a Hub that
    is offline: anything else from 500 on would be a failure of the daemon.
    """
    url = URL(path, encoded=True)
    async with client.request(method, url, data=body, headers=HEADERS, allow_redirects=False) as answer:
        text = await answer.text()
        if answer.status < 400:
            return None
        if answer.status >= 500 and answer.status != 503:
            return f"{answer.status}: {text[:200]}"
        if answer.content_type != "application/json":
            return f"{answer.status} as {answer.content_type}: {text[:200]}"
        return None if sentence_of(json.loads(text)) else f"{answer.status} without a sentence: {text[:200]}"


def sentence_of(answer: Mapping[str, Any]) -> str:
    """Return the message of an error, whichever dialect it is in."""
    error = answer.get("detail") or answer.get("error")
    return str(error.get("message", "") if isinstance(error, Mapping) else error or "")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_is_no_request_is_refused_in_words_on_every_route(
    client: aiohttp.ClientSession, operations: list[Operation], body: bytes
) -> None:
    wrong = []
    for operation in operations:
        if operation.example is not None:
            complaint = await complain(client, operation.method, fill(operation.path, "x"), body)
            wrong.append(f"{operation.method} {operation.path}: {complaint}" if complaint else None)
    assert not [each for each in wrong if each]


async def test_no_value_in_any_field_breaks_anything(
    daemon: RunningDaemon, client: aiohttp.ClientSession, operations: list[Operation]
) -> None:
    wrong, turn = [], 0
    for operation in operations:
        for field in operation.fields:
            for _ in range(10):
                value, turn = VALUES[turn % len(VALUES)], turn + 1
                body = json.dumps({**(operation.example or {}), field: "@"}).replace('"@"', value, 1)
                path = fill(operation.path, "x")
                if complaint := await complain(client, operation.method, path, body.encode()):
                    wrong.append(f"{operation.method} {path} {field}={value[:60]}: {complaint}")
    assert not wrong
    assert daemon.services.residency.current is not None


async def test_no_name_in_a_path_breaks_anything(
    client: aiohttp.ClientSession, operations: list[Operation]
) -> None:
    wrong = []
    for operation in operations:
        for segment in SEGMENTS if "{" in operation.path else ():
            path = fill(operation.path, segment)
            body = None if operation.example is None else b"{}"
            if complaint := await complain(client, operation.method, path, body):
                wrong.append(f"{operation.method} {path[:100]}: {complaint}")
    assert not wrong


def fill(path: str, segment: str) -> str:
    """Return the path with `segment` for each of its variables."""
    beginning, *others = path.split("{")
    return beginning + "".join(segment + other.partition("}")[2] for other in others)
