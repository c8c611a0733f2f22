"""The LoRA adapters of a worker: which are in memory, and whose turn it is."""

from collections.abc import Callable, Sequence
from pathlib import Path

from puna.errors import InvalidRequestError
from puna.llama.adapter import Adapter
from puna.llama.model import LlamaError

_MOST_IDLE = 8
"""Adapters that stay in memory while no request uses them."""
_TURN_S = 0.1
"""How long the requests of one adapter go on while others wait: to switch costs llama.cpp a new graph."""


class AdapterShelf:
    """Loads adapters when they are first asked for, and keeps the last ones. Belongs to the engine's thread."""

    def __init__(self, load: Callable[[Path], Adapter], forget: Callable[[Adapter], None]) -> None:
        """`forget` takes an adapter out of the context before its weights are freed."""
        self._load = load
        self._forget = forget
        self._adapters: dict[str, Adapter] = {}
        """The least recently used first."""
        self._users: dict[str, int] = {}

    def hold(self, path: str) -> Adapter:
        """Return the adapter, in memory until it is released. Raises `InvalidRequestError`."""
        adapter = self._adapters.pop(path, None)
        if adapter is None:
            try:
                adapter = self._load(Path(path))
            except LlamaError as error:
                name = Path(path).name
                raise InvalidRequestError(
                    f"The adapter {name} does not fit this model: {error}.", field="model"
                ) from error
        self._adapters[path] = adapter
        self._users[path] = self._users.get(path, 0) + 1
        return adapter

    def release(self, path: str) -> None:
        """A request is over; the adapter stays as long as there is room."""
        self._users[path] -= 1
        idle = [each for each in self._adapters if not self._users[each]]
        for each in idle[: max(0, len(idle) - _MOST_IDLE)]:
            adapter = self._adapters.pop(each)
            self._forget(adapter)
            adapter.close()


class Turns:
    """Chooses whose requests the next step holds: all of one adapter, or all without one. Pure but for its memory."""

    def __init__(self) -> None:
        self._current: str | None = None
        self._since_s = 0.0
        self._served_s: dict[str | None, float] = {}

    def choose(self, wanting: Sequence[str | None], now_s: float) -> str | None:
        """Return the adapter of the next step; `wanting` are those of the requests that can go on, none of them empty.

        While others wait, each has its turn, and the one that waited longest comes next.
        """
        is_over = now_s - self._since_s >= _TURN_S
        others = [each for each in dict.fromkeys(wanting) if each != self._current]
        if self._current not in wanting or (others and is_over):
            self._current = min(others, key=lambda each: self._served_s.get(each, 0.0))
            self._since_s = now_s
        self._served_s[self._current] = now_s
        return self._current
