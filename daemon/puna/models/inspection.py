"""Looks at the files of one model and remembers what was found."""

import errno
import stat
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from puna.domain.part_names import parse_part_name
from puna.errors import ModelLoadError
from puna.models.gguf.defect import UnreadableFileError, UnusableFileError, file_label
from puna.models.header import GgufKind, ModelHeader, read_model_header
from puna.models.splits import check_parts

MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Inspected:
    """A sound model: its files, the first one to be given to llama.cpp, and the header of that."""

    files: tuple[Path, ...]
    header: ModelHeader
    size_bytes: int
    parameter_count: int
    modified_s: float
    """When one of the files was changed last, in seconds since 1970."""


class NotAModelError(Exception):
    """The file is a sound GGUF of another kind, such as an adapter. The text is a whole sentence."""

    def __init__(self, message: str, kind: GgufKind) -> None:
        super().__init__(message)
        self.kind = kind


_OTHER_KINDS = {
    GgufKind.ADAPTER: "a LoRA adapter, not a model; load the model that it was made for",
    GgufKind.PROJECTOR: "the image side of a multimodal model; load the model beside it",
    GgufKind.IMATRIX: "an importance matrix for quantising, not a model",
    GgufKind.VOCABULARY: "only a vocabulary without weights; get the complete model",
}

_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
"""What systems say to names that no file can have."""

_Stamp = tuple[int, int]
_Outcome = ModelHeader | ModelLoadError


class Inspector:
    """Reads headers, each once while the file keeps its size and time. Blocks; usable from threads."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[str, tuple[_Stamp, _Outcome]] = OrderedDict()
        self._lock = Lock()

    def inspect(self, path: Path) -> Inspected:
        """Return the model at this path, which may be any of its parts.

        Raises `FileNotFoundError`, `ModelLoadError` for what cannot be run, and `NotAModelError`.
        """
        part = parse_part_name(path.name)
        if part is None or part.count == 1:
            return self._inspect_single(path)
        _stamp(path)
        files = tuple(path.with_name(name) for name in part.siblings())
        headers = [self._read_part(file, path) for file in files]
        try:
            check_parts(headers)
        except UnusableFileError as error:
            raise ModelLoadError(f"{file_label(files[0])} {error}.") from None
        return self._join(files, headers)

    def read_header(self, path: Path) -> ModelHeader:
        """Return the header of one file of any kind. Raises `FileNotFoundError` or `ModelLoadError`."""
        return self._read(path)

    def is_unchanged(self, files: tuple[Path, ...]) -> bool:
        """Return whether all files are as they were when they were read."""
        try:
            return all(self._outcomes[str(file)][0] == _stamp(file) for file in files)
        except (KeyError, OSError, ModelLoadError):
            return False

    def _inspect_single(self, path: Path) -> Inspected:
        header = self._read(path)
        if header.kind in _OTHER_KINDS:
            raise NotAModelError(f"{file_label(path)} is {_OTHER_KINDS[header.kind]}.", header.kind)
        if header.split_count > 1:
            raise ModelLoadError(
                f"{file_label(path)} is one of {header.split_count} parts, but is not named so;"
                f" give all parts their names back, such as NAME-00001-of-{header.split_count:05d}.gguf."
            )
        return self._join((path,), [header])

    def _join(self, files: tuple[Path, ...], headers: Sequence[ModelHeader]) -> Inspected:
        return Inspected(
            files,
            headers[0],
            sum(header.size_bytes for header in headers),
            sum(header.parameter_count for header in headers),
            max(_stamp(file)[1] for file in files) / 1e9,
        )

    def _read_part(self, file: Path, named: Path) -> ModelHeader:
        try:
            return self._read(file)
        except FileNotFoundError:
            missing = file_label(file)
            raise ModelLoadError(
                f"{file_label(named)} is one of several parts, and {missing} is missing."
            ) from None

    def _read(self, path: Path) -> ModelHeader:
        stamp = _stamp(path)
        key = str(path)
        with self._lock:
            known = self._outcomes.get(key)
        if known is None or known[0] != stamp:
            known = (stamp, _outcome_of(path))
            if not isinstance(known[1], UnreadableFileError):
                self._remember(key, known)
        if isinstance(known[1], ModelLoadError):
            raise ModelLoadError(known[1].message)
        return known[1]

    def _remember(self, key: str, outcome: tuple[_Stamp, _Outcome]) -> None:
        with self._lock:
            self._outcomes[key] = outcome
            self._outcomes.move_to_end(key)
            while len(self._outcomes) > MAX_REMEMBERED:
                self._outcomes.popitem(last=False)


def _outcome_of(path: Path) -> _Outcome:
    try:
        return read_model_header(path)
    except ModelLoadError as error:
        return error


def _stamp(path: Path) -> _Stamp:
    """Return size and time of change. Raises `FileNotFoundError` or `ModelLoadError`."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno in _NO_SUCH_FILE:
            raise FileNotFoundError(path) from None
        raise ModelLoadError(f"{file_label(path)} cannot be read: {error.strerror}.") from None
    if stat.S_ISDIR(status.st_mode):
        raise ModelLoadError(
            f"{file_label(path)} is a folder; name a GGUF file in it, or add the folder to model_folders."
        )
    if not stat.S_ISREG(status.st_mode):
        raise ModelLoadError(f"{file_label(path)} is not a regular file.")
    return status.st_size, status.st_mtime_ns
