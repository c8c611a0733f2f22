"""What one rendering may use, and the measuring of values against it."""

import time
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar

MAX_OPERATIONS = 500_000
"""Loop turns, calls, filters and operators of one rendering; a long conversation may use more."""
MAX_DURATION_S = 5.0
MAX_ITEMS = 1_000_000
"""Entries of one list."""
MAX_INT_BITS = 4_096
MAX_COUNT = 100_000
"""The largest number that a template may hand to a filter or method, such as a width."""

_TEXT_ALLOWANCE = 1024 * 1024
_WORK_ALLOWANCE = 32 * 1024 * 1024
_ITEM_CHARACTERS = 16
_CONTAINERS = (list, tuple, dict, KeysView, ValuesView, ItemsView, range)


class TemplateLimitError(Exception):
    """The template exceeded a limit. The text ends the sentence "the chat template …"."""


class Budget:
    """The limits of one rendering. They grow with the input, which a sound template copies a few times."""

    def __init__(self, input_characters: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_text = _TEXT_ALLOWANCE + 2 * input_characters
        """Characters of one text, the result included."""
        self._operations_left = MAX_OPERATIONS + 8 * input_characters
        self._characters_left = _WORK_ALLOWANCE + 32 * input_characters
        self._clock = clock
        self._deadline = clock() + MAX_DURATION_S

    def spend(self, characters: int = 0) -> None:
        """Charge one operation that makes or reads so many characters."""
        self._operations_left -= 1
        self._characters_left -= characters
        if self._operations_left < 0 or self._characters_left < 0:
            raise TemplateLimitError("does too much work")
        if self._clock() > self._deadline:
            raise TemplateLimitError(f"takes longer than {MAX_DURATION_S:.0f} seconds")

    def require_text(self, characters: int) -> None:
        """Refuse to make a text of that many characters, before it is made."""
        if characters > self.max_text:
            raise TemplateLimitError("makes a text that is too long")

    def require_items(self, count: int) -> None:
        """Refuse to make a list of that many items, before it is made."""
        if count > MAX_ITEMS:
            raise TemplateLimitError("makes a list that is too long")

    def check(self, value: object) -> object:
        """Charge one operation for its result, and return the result."""
        if isinstance(value, str):
            self.require_text(len(value))
            self.spend(len(value))
        elif isinstance(value, list | tuple | dict):
            self.require_items(len(value))
            self.spend(_ITEM_CHARACTERS * len(value))
        elif isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                raise TemplateLimitError("makes a number that is too large")
            self.spend()
        else:
            self.spend()
        return value

    def weigh(self, value: object) -> int:
        """Return about how many characters the value has as text, all that it contains included.

        Lists can hold each other many times over, so that printing or comparing a small one takes forever:
        the walk stops where the text would be too long.
        """
        total = 0
        waiting = [value]
        while waiting:
            item = waiting.pop()
            total += _own_weight(item)
            self.require_text(total)
            if isinstance(item, Mapping):
                waiting.extend(item.keys())
                waiting.extend(item.values())
            elif isinstance(item, _CONTAINERS) and not isinstance(item, range):
                waiting.extend(item)
        self.spend(total)
        return total


def _own_weight(item: object) -> int:
    if isinstance(item, str):
        return len(item) + 4
    if isinstance(item, _CONTAINERS):
        return _ITEM_CHARACTERS * (len(item) + 1)
    if isinstance(item, int):
        return _ITEM_CHARACTERS + item.bit_length() // 3
    return 8 * _ITEM_CHARACTERS


_current: ContextVar[Budget] = ContextVar("budget")


def current_budget() -> Budget:
    """Return the budget of the rendering that runs in this context."""
    return _current.get()


@contextmanager
def within(budget: Budget) -> Iterator[None]:
    """Make this budget the current one."""
    token = _current.set(budget)
    try:
        yield
    finally:
        _current.reset(token)
