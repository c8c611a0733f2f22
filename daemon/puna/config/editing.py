"""Changing puna.toml and keeping what else stands in it, comments included."""

from collections.abc import Sequence
from pathlib import Path

import tomlkit

from puna.config.definitions import EMPTY_LIST, Kind, Setting, Value, check
from puna.config.sources import UNQUOTED, find_setting, read_file
from puna.config.values import parse
from puna.errors import ConfigError
from puna.files import write_private


def set_value(config_file: Path, name: str, texts: Sequence[str]) -> Value:
    """Write one setting and return its value. Raises `ConfigError`, and leaves the file alone then."""
    setting = find_setting(name)
    written = _to_write(setting, texts)
    try:
        value = check(name, written, config_file.parent)
    except ValueError as error:
        given = "" if name in UNQUOTED else f", not {' '.join(texts)!r}"
        raise ConfigError(f"{name} must be {error}{given}.", field=name) from error
    document = _read(config_file)
    document[name] = written
    if not document.as_string().endswith("\n"):
        document.add(tomlkit.nl())
    _write(config_file, document)
    return value


def unset_value(config_file: Path, name: str) -> bool:
    """Remove one setting; False when the file does not have it. Raises `ConfigError`.

    A name that is no setting can be removed where it stands in the file: that is how to mend it.
    """
    if name not in read_file(config_file):
        find_setting(name)
        return False
    document = _read(config_file)
    del document[name]
    _write(config_file, document)
    return True


def _to_write(setting: Setting, texts: Sequence[str]) -> object:
    """Relative paths become absolute: they were typed in the current folder, not in the file's."""
    if setting.kind is Kind.LIST:
        if list(texts) == [EMPTY_LIST]:
            return []
        return [_absolute(text) for text in texts] if setting.name.endswith("_folders") else list(texts)
    if len(texts) != 1:
        raise ConfigError(f"{setting.name} takes one value, not {len(texts)}.", field=setting.name)
    if setting.name == "model":
        return check("model", texts[0], Path.cwd()) if texts[0] else ""
    value = parse(setting, texts[0])
    return "auto" if value is None else value


def _absolute(text: str) -> str:
    return text if text.startswith("~") else str(Path(text).absolute())


def _read(config_file: Path) -> tomlkit.TOMLDocument:
    read_file(config_file)
    text = config_file.read_text(encoding="utf-8-sig") if config_file.exists() else ""
    return tomlkit.parse(text)


def _write(config_file: Path, document: tomlkit.TOMLDocument) -> None:
    # A settings file is often a link into a folder under version control; the link stays.
    target = config_file.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_private(target, tomlkit.dumps(document).encode())
    except OSError as error:
        raise ConfigError(f"{target} cannot be written ({error.strerror}).") from error
