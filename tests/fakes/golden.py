"""Golden files: what a converter makes of a request or of events, kept beside the tests and read by people.

`PUNA_UPDATE_GOLDEN=1 pytest ...` writes them anew; look at the difference before you commit it.
"""

import json
import os
from pathlib import Path

import msgspec

from puna.domain.generation import GenerationEvent

GOLDEN = Path(__file__).parent.parent / "dialects" / "golden"
_events = msgspec.json.Decoder(list[GenerationEvent])


def cases(folder: str) -> list[Path]:
    """Return the folders of all cases below one folder of `dialects/golden`, sorted."""
    return sorted(path for path in (GOLDEN / folder).iterdir() if path.is_dir())


def read_events(path: Path) -> list[GenerationEvent]:
    """Return the domain's events that a file has as JSON, each with its tag in `type`."""
    return _events.decode(path.read_bytes())


def check_golden(path: Path, actual: bytes | str | object) -> None:
    """Compare text, bytes or a value (as indented JSON, without fields that have their defaults) with the file."""
    text = actual.decode() if isinstance(actual, bytes) else actual
    if not isinstance(text, str):
        text = json.dumps(_plain(text), indent=2, sort_keys=True) + "\n"
    if os.environ.get("PUNA_UPDATE_GOLDEN") == "1":
        path.write_bytes(text.encode())
    assert path.exists(), f"{path.name} is missing; PUNA_UPDATE_GOLDEN=1 writes it"
    assert text == path.read_bytes().decode(), f"{path.parent.name}/{path.name} differs"


def _plain(value: object) -> object:
    match value:
        case msgspec.Struct():
            return _tag(value) | {
                field.encode_name: _plain(getattr(value, field.name))
                for field in msgspec.structs.fields(value)
                if getattr(value, field.name) != field.default
            }
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return msgspec.to_builtins(value)


def _tag(value: msgspec.Struct) -> dict[str, object]:
    config = value.__struct_config__
    return {config.tag_field: config.tag} if config.tag_field else {}
