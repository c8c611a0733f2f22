"""Names of models for the shell's completion, at once or not at all."""

import re

from puna.domain.finetune import ADAPTER_PREFIX
from puna.paths import Paths

_TIMEOUT_S = 0.5
_TYPEABLE = re.compile(r"[\w.:/@+,=-]+")
"""Names that stand for themselves in every shell."""


def complete_model(incomplete: str) -> list[str]:
    """Return the models of the running daemon whose names begin so; nothing where anything is amiss.

    Names of files may hold what a shell would carry out: bash inserts what is offered as it stands.
    """
    try:
        from puna.instance import read_endpoint
        from puna.terminal.daemon import list_models

        endpoint = read_endpoint(Paths.for_user().endpoint_file)
        names = list_models(endpoint, _TIMEOUT_S) if endpoint is not None else ()
    except Exception:  # noqa: BLE001 - a shell that completes shows no errors
        return []
    return [name for name in names if name.startswith(incomplete) and _TYPEABLE.fullmatch(name)]


def complete_adapter(incomplete: str) -> list[str]:
    """Return the adapters whose names begin so; as for models."""
    return [name for name in complete_model(incomplete) if name.startswith(ADAPTER_PREFIX)]


def complete_known(incomplete: str) -> list[str]:
    """Return the short names of models on the Hub that begin so."""
    try:
        from puna.models.known import read_known_models

        names = read_known_models(Paths.for_user().known_models).names
    except Exception:  # noqa: BLE001 - as above
        return []
    return [name for name in names if name.startswith(incomplete)]
