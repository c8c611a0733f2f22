"""GGUF files that people added by their path: linked, not copied, and remembered until they are forgotten."""

from collections.abc import Mapping
from pathlib import Path

from puna.errors import InvalidRequestError
from puna.state import StateFile, StateTable

MAX_ADDED = 1000


class AddedFiles:
    """The path of each added file by the id under which it is listed.

    One for the daemon; used from the event loop only. The catalogue decides on ids.
    """

    def __init__(self, state_file: StateFile, added: Mapping[str, str]) -> None:
        """`added` are `State.added_files` as read at the start."""
        self._paths = StateTable(state_file, "added_files", added)

    @property
    def paths(self) -> Mapping[str, Path]:
        """The files by id, in the order in which they were added."""
        return {model_id: Path(path) for model_id, path in self._paths.entries.items()}

    def __contains__(self, model_id: str) -> bool:
        return model_id in self._paths.entries

    async def add(self, model_id: str, path: Path, *, is_new: bool) -> None:
        """Remember a file under an id, under no other one from now on; an id that `is_new` must be that of no other.

        Raises `InvalidRequestError` for another file's id and where there are too many; `StoreError` where it cannot be
        kept.
        """

        def change(paths: dict[str, str]) -> dict[str, str]:
            others = {known: there for known, there in paths.items() if there != str(path)}
            if is_new and model_id in others:
                raise taken(model_id)
            if len(others) >= MAX_ADDED and model_id not in others:
                raise InvalidRequestError(
                    f"There are {MAX_ADDED} added files already; forget one, or add the folder to model_folders."
                )
            return {**others, model_id: str(path)}

        await self._paths.change(change)

    async def forget(self, model_id: str) -> None:
        """Forget a file; it stays where it is. Errors as `add`."""

        def change(paths: dict[str, str]) -> dict[str, str]:
            return {known: path for known, path in paths.items() if known != model_id}

        await self._paths.change(change)


def taken(model_id: str) -> InvalidRequestError:
    """Return the error for a name that is that of a model already."""
    return InvalidRequestError(f"`name` must be a new one: {model_id} is the name of a model.", field="name")
