"""GGUF files that requests named by their path: each keeps an id until the daemon stops."""

from collections.abc import Callable
from pathlib import Path

from puna.domain.models import ModelSource
from puna.models.names import choose_id, is_presentable, model_stem
from puna.models.survey import NamedFile

MAX_OPENED = 256
"""Beyond that the oldest is forgotten."""


class OpenedFiles:
    """The files and their ids."""

    def __init__(self, is_taken: Callable[[str], bool]) -> None:
        """`is_taken` says of an id whether something else has it, or one of these files."""
        self._is_taken = is_taken
        self._by_real_path: dict[str, NamedFile] = {}

    @property
    def files(self) -> list[NamedFile]:
        """All of them, the oldest first."""
        return list(self._by_real_path.values())

    def __contains__(self, model_id: str) -> bool:
        return any(model_id == opened.id for opened in self._by_real_path.values())

    def name(self, real: str, path: Path) -> NamedFile:
        """Return the file with the id that it has, or gets now from its name."""
        if real not in self._by_real_path:
            stem = model_stem(path)
            model_id = choose_id([stem if is_presentable(stem) else "model"], self._is_taken)
            self._by_real_path[real] = NamedFile(model_id, path, ModelSource.NAMED)
            while len(self._by_real_path) > MAX_OPENED:
                del self._by_real_path[next(iter(self._by_real_path))]
        return self._by_real_path[real]

    def forget(self, model_id: str) -> bool:
        """Forget a file; returns whether there was one of this id."""
        kept = {real: opened for real, opened in self._by_real_path.items() if opened.id != model_id}
        was_there = len(kept) < len(self._by_real_path)
        self._by_real_path = kept
        return was_there
