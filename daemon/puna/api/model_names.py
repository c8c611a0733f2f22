"""Which names of models a sender may use."""

from puna.errors import ModelNotFoundError
from puna.keys.identity import Identity, Scope
from puna.models.names import path_in


def check_model_name(name: str | None, identity: Identity) -> None:
    """Let ids pass, and paths of those who manage models.

    For others a path is no model, whether or not there is a file: what lies on this disk is not theirs to learn.
    Raises `ModelNotFoundError`.
    """
    if name and not identity.may(Scope.MANAGE) and path_in(name) is not None:
        raise ModelNotFoundError("There is no such model; to name a file by its path needs the scope manage.")
