"""How LocalLab's readers take a stream apart: their parsing rules, without their network code.

The real Python client runs in `test_locallab_client`; these make it cheap to try thousands of cuts.
"""

import json
from typing import Any


def read_as_python_client(stream: bytes) -> list[str]:
    """`LocalLabClient.stream_generate` of locallab-client 1.1.0."""
    pieces: list[str] = []
    for line in stream.split(b"\n"):
        text = line.decode().strip()
        if not text:
            continue
        text = text.removeprefix("data: ")
        if text == "[DONE]":
            break
        if text.startswith("Error:"):
            return [*pieces, "\nError: " + text.replace("Error: ", "")]
        pieces.append(text)
    return pieces


def read_as_python_chat_client(stream: bytes) -> list[Any]:
    """`LocalLabClient.stream_chat` of locallab-client 1.1.0."""
    items: list[Any] = []
    for line in stream.split(b"\n"):
        text = line.decode().strip()
        if not text:
            continue
        try:
            data = json.loads(text)
        except json.JSONDecodeError:
            if text.startswith("Error:"):
                return [*items, {"error": text.replace("Error: ", "")}]
            continue
        if data == "[DONE]":
            break
        items.append(data)
    return items


def read_as_cli(stream: bytes) -> list[str]:
    """`locallab chat` of locallab 0.11.3, whose lines come from httpx."""
    pieces = []
    for line in stream.decode().splitlines():
        data = line.strip()
        if not data.startswith("data: "):
            continue
        data = data[6:]
        if data == "[DONE]":
            break
        try:
            json.loads(data)
        except json.JSONDecodeError:
            pieces.append(data)
    return pieces


def read_as_event_source(stream: bytes) -> list[str]:
    """The `data` of each event, as the WHATWG standard parses it."""
    events = []
    for block in stream.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        fields = [line.partition(":") for line in block.split("\n")]
        data = [value.removeprefix(" ") for name, _, value in fields if name == "data"]
        if data:
            events.append("\n".join(data))
    return events


def chat_text(items: list[Any]) -> str:
    """The text of a chat stream, as its readers join it."""
    return "".join(item["choices"][0]["delta"]["content"] for item in items)
