"""Remote models as the settings write them: tables in puna.toml, or one line each."""

from collections.abc import Mapping

import msgspec

from puna.domain.model_kind import ModelKind
from puna.domain.remote import RemoteModel

ALLOWED = (
    "a list of tables with `name` and `url`, or of texts such as `big=http://gpu-box:8000/v1 model=org/model`"
)
_MAX_MODELS = 200
_DEMO = "demo"


def read_remote_models(value: object) -> tuple[RemoteModel, ...]:
    """Return the remote models of a setting. Raises `ValueError` with what is wrong, and never with a value.

    What stands in a wrong place may be a key, so no text of the settings is repeated.
    """
    items = value if isinstance(value, list | tuple) else None
    if items is None or len(items) > _MAX_MODELS:
        raise ValueError(ALLOWED)
    models = tuple(_read(item, number) for number, item in enumerate(items, start=1))
    names = [model.name for model in models]
    if _DEMO in names:
        raise ValueError(f"{ALLOWED}: {_DEMO} is the name of the built-in model")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{ALLOWED}, each with a name of its own: {twice} is there twice")
    return models


def _read(item: object, number: int) -> RemoteModel:
    match item:
        case RemoteModel():
            return item
        case str():
            fields, is_strict = _split(item, number), False
        case Mapping():
            fields, is_strict = item, True
        case _:
            raise ValueError(ALLOWED)
    unknown = [str(name) for name in fields if name not in RemoteModel.__struct_fields__]
    if unknown:
        raise ValueError(f"{ALLOWED}: {_describe_unknown(unknown[0], number)}")
    try:
        return msgspec.convert(fields, RemoteModel, strict=is_strict)
    except msgspec.ValidationError as error:
        raise ValueError(f"{ALLOWED}: in item {number}, {_describe(error)}") from None


def _split(line: str, number: int) -> Mapping[str, str]:
    """Return the fields of a line: `name=url`, then `field=value` for each further one."""
    words = [word.partition("=") for word in line.split()]
    if not words or any(not separator for _, separator, _ in words):
        raise ValueError(f"{ALLOWED}: item {number} is neither")
    (name, _, url), *others = words
    return {"name": name, "url": url} | {field: value for field, _, value in others}


def _describe_unknown(name: str, number: int) -> str:
    if name.lower() in {"key", "api_key", "token", "secret", "password"}:
        return (
            f"item {number} holds a key; name its environment variable as key_variable, "
            "or write it into secrets.json as remote_keys"
        )
    known = ", ".join(RemoteModel.__struct_fields__)
    return f"item {number} has a field that is none of {known}"


def _describe(error: msgspec.ValidationError) -> str:
    """Return the complaint with the field's name, and without its value."""
    text, _, path = str(error).partition(" - at `$.")
    field = path.rstrip("`")
    if field in _WORDS:
        return f"{field} must be {_WORDS[field]}"
    cause = text[:1].lower() + text[1:]
    return f"{field}: {cause}" if field else cause


_WORDS = {
    "name": "letters, digits or any of . _ : / + -, a letter or digit first",
    "kind": " or ".join(", ".join(ModelKind).rsplit(", ", 1)),
}
