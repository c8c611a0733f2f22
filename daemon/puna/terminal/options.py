"""What `/set` and `--set` can change: how the model answers, and how the answer is shown. Pure."""

import json
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Struct

from puna.errors import InvalidRequestError

_ON = frozenset({"on", "true", "yes", "1"})
_OFF = frozenset({"off", "false", "no", "0"})
_EFFORTS = ("low", "medium", "high")
_UNSET = frozenset({"default", "auto", "none", ""})
TEXT = "text"
JSON = "json"
_LARGEST_SEED = 2**63 - 1
_MOST_TOKENS = 10_000_000


class ChatOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of them. None leaves it to the daemon."""

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    think: bool | str | None = None
    """Whether the model reasons first, or how much: low, medium, high."""
    format: str = TEXT
    """`text`, `json`, or a JSON schema as its text."""
    markdown: bool = True
    show_thinking: bool = True
    figures: bool = False
    """Whether tokens and times follow an answer."""


class Option(NamedTuple):
    """One of them, as people type it."""

    parse: Callable[[str], object]
    """Raises `ValueError`."""
    takes: str
    help: str


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _switch(text: str) -> bool:
    word = text.lower()
    if word not in _ON | _OFF:
        raise ValueError(text)
    return word in _ON


def _think(text: str) -> bool | str:
    return text.lower() if text.lower() in _EFFORTS else _switch(text)


def _stop(text: str) -> tuple[str, ...]:
    """Take a JSON string or list of strings, for line ends and commas; anything else is one text as it stands."""
    if text[:1] not in {'"', "["}:
        return (text,)
    return msgspec.convert(_as_list(json.loads(text)), type=tuple[str, ...])


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _format(text: str) -> str:
    if text.lower() in {TEXT, JSON}:
        return text.lower()
    if not isinstance(json.loads(text), dict):
        raise ValueError(text)
    return text


OPTIONS: dict[str, Option] = {
    "system": Option(str, "a text", "what the model is told before the conversation"),
    "temperature": Option(_number(0, 2), "a number from 0 to 2", "0 takes the most likely token each time"),
    "top_p": Option(_number(0, 1), "a number from 0 to 1", "share of the likeliest tokens to choose from"),
    "top_k": Option(_integer(-1, 1_000_000), "a whole number, -1 for all", "how many tokens to choose from"),
    "min_p": Option(_number(0, 1), "a number from 0 to 1", "leave out tokens less likely than this share"),
    "repeat_penalty": Option(
        _number(0.1, 10), "a number from 0.1 to 10", "above 1 says things less often twice"
    ),
    "presence_penalty": Option(_number(-2, 2), "a number from -2 to 2", "above 0 finds new topics"),
    "frequency_penalty": Option(_number(-2, 2), "a number from -2 to 2", "above 0 repeats words less"),
    "seed": Option(
        _integer(-1, _LARGEST_SEED), "a whole number, -1 for a new one", "the same seed, the same answer"
    ),
    "max_tokens": Option(_integer(1, _MOST_TOKENS), "a whole number from 1", "the longest answer"),
    "stop": Option(_stop, 'a text, or a JSON list such as ["###", "\\n\\n"]', "where an answer ends"),
    "think": Option(_think, "on, off, low, medium or high", "whether the model reasons before it answers"),
    "format": Option(_format, "text, json, or a file with a JSON schema", "what an answer must look like"),
    "markdown": Option(_switch, "on or off", "whether answers are rendered, or shown as they come"),
    "show_thinking": Option(_switch, "on or off", "whether the reasoning is shown"),
    "figures": Option(_switch, "on or off", "tokens and times below each answer"),
}


def find_option(name: str) -> Option:
    """Return an option. Raises `InvalidRequestError` with the names that there are."""
    option = OPTIONS.get(name.lower())
    if option is None:
        raise InvalidRequestError(f"There is no option {name}; there are {', '.join(OPTIONS)}.")
    return option


def set_option(options: ChatOptions, name: str, text: str) -> ChatOptions:
    """Return the options with one changed; `default` puts it back. Raises `InvalidRequestError`."""
    option = find_option(name)
    given = text.strip()
    if given.lower() in _UNSET:
        return msgspec.structs.replace(options, **{name.lower(): getattr(ChatOptions(), name.lower())})
    try:
        value = option.parse(given)
    except (ValueError, msgspec.ValidationError, RecursionError):
        raise InvalidRequestError(f"{name} takes {option.takes}, or default; not {given[:80]}.") from None
    return msgspec.structs.replace(options, **{name.lower(): value})


def show_option(options: ChatOptions, name: str) -> str:
    """Return an option's value as people type it."""
    match getattr(options, name):
        case bool() as is_on:
            return "on" if is_on else "off"
        case None | "" | ():
            return "default"
        case tuple() as texts:
            return json.dumps(texts, ensure_ascii=False)
        case float() as number:
            return f"{number:g}"
        case value:
            return str(value)
