"""Who sent a request, as routes see it."""

from enum import StrEnum

from msgspec import Struct

THIS_MACHINE = "this machine"
"""What limits count by when a program on this machine sends no key: all of them together."""


class Scope(StrEnum):
    """What a key may be used for. None contains another."""

    INFER = "infer"
    """Ask models for text, and see which there are."""
    MANAGE = "manage"
    """Load and unload models, change settings and instructions, make and revoke keys."""
    TRAIN = "train"
    """Make adapters."""


class Identity(Struct, frozen=True, kw_only=True):
    """One sender. The middleware makes it before the handler runs: `exchange_of(request).identity`."""

    key_id: str | None = None
    """None for the admin, and for a program on this machine that uses an open dialect without a key."""
    organisation_id: str | None = None
    """The organisation of the key; None without a key."""
    scopes: frozenset[Scope] = frozenset()
    is_admin: bool = False
    """Whether it has the admin token of the endpoint file."""
    client: str = THIS_MACHINE
    """What limits count by: the key's id, else `THIS_MACHINE`."""

    def may(self, scope: Scope) -> bool:
        """Whether it may do things of this scope."""
        return scope in self.scopes

    def may_use(self, organisation_id: str) -> bool:
        """Whether it may use what belongs to this organisation.

        A key only its own one; without a key, the user of this machine (the admin, or an open dialect), all.
        """
        return self.organisation_id == organisation_id or (self.key_id is None and bool(self.scopes))


NOBODY = Identity()
"""Before the guard has looked, and where it refused."""
ADMIN = Identity(scopes=frozenset(Scope), is_admin=True)
"""Has the admin token."""
LOCAL = Identity(scopes=frozenset(Scope))
"""A program on this machine at a dialect that is open to them."""
