"""The settings as records: what parsers, `--help` and the reference need to know of each."""

import ipaddress
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct, inspect

from puna.config.remote_models import read_remote_models
from puna.config.settings import Settings
from puna.domain.remote import RemoteModel
from puna.limits.rates import parse_rates


class Kind(StrEnum):
    """What a value is made of, apart from its range."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    SWITCH = "true or false"
    CHOICE = "choice"
    LIST = "list"


EMPTY_LIST = "none"
"""The one item that stands for no item: an empty variable counts as not set, and a flag needs a value."""

Value = str | int | float | bool | None | Path | tuple[str | Path | RemoteModel, ...]
"""What a setting can be."""


class Setting(Struct, frozen=True, kw_only=True):
    """One field of `Settings`, described for people and parsers."""

    name: str
    kind: Kind
    default: Value
    help: str
    allowed: str
    """The values that can be set, in words: `a whole number from 0 to 65535`."""
    can_be_auto: bool
    """Whether None, written `auto`, is a value."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PUNA_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The option on the command line; in the singular for a list, given once for each item."""
        name = _singular(self.name) if self.kind is Kind.LIST else self.name
        return "--" + name.replace("_", "-")


def _singular(name: str) -> str:
    return name.removesuffix("es" if name.endswith("ses") else "s")


@cache
def all_settings() -> dict[str, Setting]:
    """Return all settings by name, in the order of `Settings`."""
    described = inspect.type_info(Settings)
    assert isinstance(described, inspect.StructType)
    return {field.name: _describe(field) for field in described.fields}


def _describe(field: inspect.Field) -> Setting:
    described, schema, extra = field.type, {}, {}
    if isinstance(described, inspect.Metadata):
        schema, extra = described.extra_json_schema or {}, described.extra or {}
        described = described.type
    options = described.types if isinstance(described, inspect.UnionType) else (described,)
    can_be_auto = any(isinstance(option, inspect.NoneType) for option in options)
    kind = _kind_of(options[0])
    return Setting(
        name=field.name,
        kind=kind,
        default=field.default,
        help=str(schema["description"]),
        allowed=str(extra.get("allowed") or _allowed(options[0], kind)) + (" or auto" if can_be_auto else ""),
        can_be_auto=can_be_auto,
    )


def _kind_of(described: inspect.Type) -> Kind:
    match described:
        case inspect.BoolType():
            return Kind.SWITCH
        case inspect.IntType():
            return Kind.INTEGER
        case inspect.FloatType():
            return Kind.NUMBER
        case inspect.EnumType():
            return Kind.CHOICE
        case inspect.VarTupleType():
            return Kind.LIST
        case _:
            return Kind.TEXT


def _allowed(described: inspect.Type, kind: Kind) -> str:
    match described:
        case inspect.IntType(ge=lowest, le=highest) | inspect.FloatType(ge=lowest, le=highest):
            return f"a {kind} from {lowest} to {highest}"
        case inspect.EnumType(cls=choices):
            return " or ".join(", ".join(str(choice.value) for choice in choices).rsplit(", ", 1))
        case _:
            return str(kind)


def check(name: str, value: object, base: Path) -> Value:
    """Return the value with the type that `Settings` has for it; paths are made absolute from `base`.

    Raises `ValueError` when it is of another type or out of range.
    """
    setting = all_settings()[name]
    if setting.can_be_auto and value in ("auto", None):
        return None
    if setting.kind is Kind.LIST and value == [EMPTY_LIST]:
        return ()
    if name == "remote_models":
        return read_remote_models(value)
    try:
        checked: Value = msgspec.convert(value, _types()[name], dec_hook=lambda _, text: _to_path(text, base))
    except msgspec.ValidationError as error:
        raise ValueError(setting.allowed) from error
    is_nan = checked != checked  # and passes every range
    if is_nan or not _CHECKS.get(name, _is_anything)(checked):
        raise ValueError(setting.allowed)
    return _absolute_model(str(checked), base) if name == "model" else checked


@cache
def _types() -> dict[str, object]:
    return {field.name: field.type for field in msgspec.structs.fields(Settings)}


def _to_path(text: object, base: Path) -> Path:
    if not isinstance(text, str) or not text:
        raise ValueError("not a path")
    return base / Path(text).expanduser()


def _absolute_model(name: str, base: Path) -> str:
    """A path must mean the same file in the detached daemon, which has no working folder of its own."""
    is_path = name.lower().endswith(".gguf") or name.startswith(("~", ".", "/", "\\"))
    return str(_to_path(name, base)) if is_path else name


def _is_anything(_: object) -> bool:
    return True


def _is_rates(value: object) -> bool:
    try:
        parse_rates(str(value))
    except ValueError:
        return False
    return True


def _is_host(value: object) -> bool:
    if value == "localhost":
        return True
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


_CHECKS = {"host": _is_host, "rate_limits": _is_rates}
"""What a type cannot say, by setting name."""
