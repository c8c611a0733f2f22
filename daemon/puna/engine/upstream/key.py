"""Where the key of an engine comes from."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, field

from puna.domain.remote import RemoteModel
from puna.errors import ModelLoadError
from puna.redaction import conceal

_MAX_FILE_BYTES = 1024 * 1024


class _Secrets(Struct, frozen=True):
    """Puna's secret file, `secrets.json`, mode 0600; other parts of Puna keep theirs in it too."""

    remote_keys: dict[str, str] = field(default_factory=dict)
    """By the name of a remote model."""


class KeySource:
    """Reads keys anew for each load, so that one that was just saved counts. Blocks on a small file."""

    def __init__(self, secrets_file: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._secrets_file = secrets_file
        self._environ = environ

    def read(self, remote: RemoteModel) -> str | None:
        """Return the key from the model's variable, or else from the secret file; None where it has none.

        It is kept out of the log from then on. Raises `ModelLoadError` where one is named and not found, or
        cannot be sent.
        """
        key = (self._environ.get(remote.key_variable, "") if remote.key_variable else "").strip()
        key = key or self._from_file(remote.name)
        if not key and remote.key_variable:
            raise ModelLoadError(
                f"The key of {remote.name} is not set: neither the variable {remote.key_variable} nor "
                "remote_keys in secrets.json has it."
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ModelLoadError(f"The key of {remote.name} has characters that no key has; copy it again.")
        if key:
            conceal(key)
        return key or None

    def _from_file(self, name: str) -> str:
        try:
            with self._secrets_file.open("rb") as stream:
                content = stream.read(_MAX_FILE_BYTES)
            return msgspec.json.decode(content, type=_Secrets).remote_keys.get(name, "").strip()
        except FileNotFoundError:
            return ""
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            raise ModelLoadError(
                f"The key of {name} cannot be read: {self._secrets_file.name} is damaged or not readable; "
                'it must be JSON such as {"remote_keys": {"name": "key"}}.'
            ) from None
