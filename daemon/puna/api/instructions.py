"""System instructions that people set for all models or for one; remembered over restarts."""

from collections.abc import Mapping

from puna.state import StateFile, StateTable

_GLOBAL = "global"


class Instructions:
    """The texts, and the file that remembers them. One for the daemon; used from the event loop only."""

    def __init__(self, state_file: StateFile, texts: Mapping[str, str]) -> None:
        """`texts` are `State.instructions` as read at the start."""
        self._texts = StateTable(state_file, "instructions", texts)

    def text_for(self, model_id: str | None) -> str:
        """Return the model's own instructions, else those for all models; empty when there are none."""
        texts = self._texts.entries
        own = texts.get(model_id) if model_id else None
        return texts.get(_GLOBAL, "") if own is None else own

    async def set_text(self, model_id: str | None, text: str) -> None:
        """Set the instructions of one model, or of all when None. Raises `StoreError`."""
        await self._texts.change(lambda texts: {**texts, model_id or _GLOBAL: text})

    async def reset(self, model_id: str | None) -> None:
        """Forget the instructions of one model, or all when None. Raises `StoreError`."""

        def change(texts: dict[str, str]) -> dict[str, str]:
            return {name: text for name, text in texts.items() if model_id and name != model_id}

        await self._texts.change(change)
