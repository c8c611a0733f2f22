"""Keys and organisations as they are listed. Times are whole seconds since 1970."""

from msgspec import Struct

from puna.keys.identity import Scope


class Organisation(Struct, frozen=True, kw_only=True):
    """Whom keys, and what is made with them, belong to."""

    id: str
    """`org_` and random digits."""
    name: str
    is_default: bool
    created_at: int


class Key(Struct, frozen=True, kw_only=True):
    """A key that holds, without its secret."""

    id: str
    """`key_` and random digits; for logs, limits and `puna keys revoke`."""
    name: str
    organisation_id: str
    scopes: tuple[Scope, ...]
    hint: str
    """The first characters of the secret."""
    created_at: int
    last_used_at: int | None = None


class NewKey(Struct, frozen=True, kw_only=True):
    """A key that was just made, and the only look at its secret."""

    key: Key
    secret: str

    def __repr__(self) -> str:
        """Return it without the secret: this may end up in a log."""
        return f"NewKey({self.key!r})"


class KeyWish(Struct, frozen=True, kw_only=True):
    """What somebody wants a key for."""

    name: str
    organisation: str | None = None
    """Its id or its name; None is the default one."""
    scopes: tuple[Scope, ...] = (Scope.INFER,)
