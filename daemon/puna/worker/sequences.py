"""The sequences of the cache: which one a request takes, and what of it is computed already.

Prefixes that were computed with different adapters have nothing in common. Models with a sliding window give up cells
that have left it, so the beginning of a long sequence may be of no use to a text that branches off there.

A finished request leaves its sequence behind as a cached prefix. A new one starts from the longest prefix that
any sequence holds, a busy one included: sharing cells costs nothing. When a busy sequence is about to compute a
longer common prefix, the request waits for it instead of computing it a second time.
"""

from itertools import count
from typing import Protocol

from msgspec import Struct

_WORTH_WAITING = 32
"""Tokens that a busy sequence must be about to add before a request waits for them."""


class Cells(Protocol):
    """The cache that holds the sequences; `puna.llama.context.Context` is one."""

    def copy_sequence(self, source: int, target: int, length: int) -> None: ...

    def trim_sequence(self, sequence: int, length: int) -> bool: ...

    def drop_sequence(self, sequence: int) -> None: ...

    def first_position(self, sequence: int) -> int: ...


class CachedSequence:
    """One sequence. `tokens` are those whose cells are computed; `target` is where a busy one is heading."""

    def __init__(self, sequence_id: int) -> None:
        self.id = sequence_id
        self.adapter: str | None = None
        """With which adapter the cells were computed: they are of no use to others."""
        self.tokens: list[int] = []
        self.target: list[int] = []
        self.is_busy = False
        self.last_used = 0


class Placement(Struct, frozen=True):
    """Run in `sequence`, starting from the first `length` tokens of `donor` (which may be the same)."""

    sequence: int
    donor: int
    length: int


class SequencePool:
    """All sequences of a context. Choosing is pure; taking and releasing act on the cells."""

    def __init__(self, cells: Cells, size: int, *, can_trim: bool = True, window: int = 0) -> None:
        """`size` must exceed the number of requests that run at once. `can_trim` False: recurrent state.

        `window` is how many tokens back the layers with a sliding window look; 0 where there are none.
        """
        self._cells = cells
        self._can_trim = can_trim
        self._window = window
        self._clock = count(1)
        self.sequences = [CachedSequence(i) for i in range(size)]

    def place(
        self, prompt: list[int], adapter: str | None = None, *, is_repeatable: bool = False
    ) -> Placement | None:
        """Choose a sequence for a prompt; None means that waiting for a busy one is cheaper.

        At least the last token of the prompt is left to compute, because its logits are needed. With
        `is_repeatable` a prompt that was there before takes its old cells: in others, sums are rounded in another
        order, and the text would be another one.
        """
        usable = [(self._usable_prefix(sequence, prompt, adapter), sequence) for sequence in self.sequences]
        length, donor = max(usable, key=lambda pair: (pair[0], pair[1].last_used))
        kin = [s for s in self.sequences if s.is_busy and s.adapter == adapter]
        shared = [(common_prefix(s.target, prompt), len(s.tokens)) for s in kin]
        coming = max((length for length, computed in shared if length > computed), default=0)
        if self._can_trim and min(coming, len(prompt) - 1) - length >= _WORTH_WAITING:
            return None
        is_again = 0 < length == len(prompt) - 1 and donor.tokens[length : length + 1] == prompt[length:]
        home = self._choose_home(donor, length, is_own=is_repeatable and is_again)
        return Placement(home.id, donor.id, length)

    def take(self, placement: Placement, prompt: list[int], adapter: str | None = None) -> CachedSequence:
        """Act on a placement: the sequence then holds `placement.length` tokens and is busy."""
        home, donor = self.sequences[placement.sequence], self.sequences[placement.donor]
        if home is not donor:
            self._cells.drop_sequence(home.id)
            home.tokens = donor.tokens[: placement.length]
            if placement.length:
                self._cells.copy_sequence(donor.id, home.id, placement.length)
        self.trim(home, placement.length)
        home.target, home.adapter = prompt, adapter
        home.is_busy = True
        home.last_used = donor.last_used = next(self._clock)
        return home

    def trim(self, sequence: CachedSequence, length: int) -> None:
        """Drop what is behind `length`, also cells that an aborted decode left there."""
        if length == 0 or not self._cells.trim_sequence(sequence.id, length):
            self._cells.drop_sequence(sequence.id)
            length = 0
        del sequence.tokens[length:]

    def release(self, sequence: CachedSequence) -> None:
        """The request is over; what it computed stays as a cached prefix."""
        sequence.is_busy = False
        sequence.target = []
        sequence.last_used = next(self._clock)

    def evict(self) -> bool:
        """Free the least recently used cached prefix; False when there is none."""
        cached = [s for s in self.sequences if s.tokens and not s.is_busy]
        if not cached:
            return False
        victim = min(cached, key=lambda s: s.last_used)
        self.trim(victim, 0)
        return True

    @property
    def cached(self) -> int:
        """Number of prefixes that belong to no request."""
        return sum(1 for s in self.sequences if s.tokens and not s.is_busy)

    @property
    def held_tokens(self) -> int:
        """Tokens of all sequences; a shared prefix counts in each."""
        return sum(len(s.tokens) for s in self.sequences)

    def _usable_prefix(self, sequence: CachedSequence, prompt: list[int], adapter: str | None) -> int:
        if sequence.adapter != adapter:
            return 0
        length = min(common_prefix(sequence.tokens, prompt), len(prompt) - 1)
        if length == len(sequence.tokens):
            return length
        return length if self._can_trim and self._has_window(sequence, length) else 0

    def _has_window(self, sequence: CachedSequence, length: int) -> bool:
        """Return whether the cells are still there to which a token at position `length` looks back."""
        if not self._window:
            return True
        return self._cells.first_position(sequence.id) <= max(0, length - self._window)

    def _choose_home(self, donor: CachedSequence, length: int, *, is_own: bool) -> CachedSequence:
        idle = [s for s in self.sequences if not s.is_busy]
        if not donor.is_busy and (is_own or length == len(donor.tokens)):
            return donor
        others = [s for s in idle if s is not donor]
        return min(others or idle, key=lambda s: (bool(s.tokens), s.last_used))


def common_prefix(left: list[int], right: list[int]) -> int:
    """Return how many first tokens are equal. Compares slices, so it runs at the speed of memory."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
