"""Other names for models: those of the setting `model_aliases`, and those that people give while the daemon runs."""

import re
from collections.abc import Iterator, Mapping

from puna.domain.models import ModelEntry, ModelSource
from puna.errors import InvalidRequestError
from puna.state import StateFile, StateTable

MAX_NICKNAMES = 1000
_IDS_CHANGE = frozenset({ModelSource.FOLDER, ModelSource.LM_STUDIO, ModelSource.LLAMA_CPP, ModelSource.NAMED})
"""Their ids may mean other files when folders change, and those of files that were only named end with the daemon."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,199}")


class Nicknames(Mapping[str, str]):
    """What each name stands for: an id, or the path of a file. The names that were given are remembered.

    One for the daemon; used from the event loop only. The catalogue looks names up here.
    """

    def __init__(self, state_file: StateFile, given: Mapping[str, str], fixed: Mapping[str, str]) -> None:
        """`given` are `State.nicknames` as read at the start; `fixed`, those of the settings, win over them."""
        self._given = StateTable(state_file, "nicknames", given)
        self._fixed = fixed

    def __getitem__(self, name: str) -> str:
        return self._fixed[name] if name in self._fixed else self._given.entries[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._fixed
        yield from (name for name in self._given.entries if name not in self._fixed)

    def __len__(self) -> int:
        return len(self._fixed.keys() | self._given.entries.keys())

    async def give(self, name: str, entry: ModelEntry) -> None:
        """Let a name stand for a model, also where it stood for another one.

        Raises `InvalidRequestError` for what can be no name, and for a name of the settings; `StoreError` where it
        cannot be remembered.
        """
        self._check_free(name)
        if not _NAME.fullmatch(name):
            raise InvalidRequestError(
                "A name must be 1 to 200 letters, digits or any of _ . : / -, a letter or digit first."
            )
        target = str(entry.path) if entry.source in _IDS_CHANGE else entry.id

        def change(given: dict[str, str]) -> dict[str, str]:
            if len(given) >= MAX_NICKNAMES and name not in given:
                raise InvalidRequestError(f"There are {MAX_NICKNAMES} names already; delete one first.")
            return {**given, name: target}

        await self._given.change(change)

    async def take_back(self, name: str) -> None:
        """Forget a name that was given. Errors as `give`."""
        self._check_free(name)

        def change(given: dict[str, str]) -> dict[str, str]:
            return {each: target for each, target in given.items() if each != name}

        await self._given.change(change)

    def _check_free(self, name: str) -> None:
        if name in self._fixed:
            raise InvalidRequestError(f"{name} is set in model_aliases; change that setting.")
