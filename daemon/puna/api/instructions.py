"""System instructions that people set for all models or for one; remembered over restarts."""

import asyncio
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from puna.state import StateFile

_GLOBAL = "global"


class Instructions:
    """The texts, and the file that remembers them. One for the daemon; used from the event loop only."""

    def __init__(self, state_file: StateFile, texts: Mapping[str, str]) -> None:
        """`texts` are `State.instructions` as read at the start."""
        self._state_file = state_file
        self._texts = dict(texts)
        self._lock = asyncio.Lock()

    def text_for(self, model_id: str | None) -> str:
        """Return the model's own instructions, else those for all models; empty when there are none."""
        own = self._texts.get(model_id) if model_id else None
        return self._texts.get(_GLOBAL, "") if own is None else own

    async def set_text(self, model_id: str | None, text: str) -> None:
        """Set the instructions of one model, or of all when None. Raises `StoreError`."""
        await asyncio.shield(self._change(lambda texts: {**texts, model_id or _GLOBAL: text}))

    async def reset(self, model_id: str | None) -> None:
        """Forget the instructions of one model, or all when None. Raises `StoreError`."""

        def change(texts: dict[str, str]) -> dict[str, str]:
            return {name: text for name, text in texts.items() if model_id and name != model_id}

        await asyncio.shield(self._change(change))

    async def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        """Change what is known and written, one after the other; who leaves meanwhile does not stop it half-way."""
        async with self._lock:
            texts = change(self._texts)
            await asyncio.to_thread(self._state_file.update, lambda state: replace(state, instructions=texts))
            self._texts = texts
