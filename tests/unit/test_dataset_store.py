"""Datasets on disk: once by content, whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.dataset_files import in_chunks
from puna.domain.datasets import Dataset, DatasetFormat, DatasetLimits, FindingCode, Labelled, PlainText
from puna.errors import InvalidRequestError, NotFoundError, StoreError
from puna.finetune.datasets.failures import DatasetRefusedError
from puna.finetune.datasets.store import DatasetStore

CONTENT = "text,label\ngood,positive\nbad,negative\n"
LIMITS = DatasetLimits(max_bytes=10_000, max_rows=100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "datasets"


@pytest.fixture
def store(folder: Path) -> DatasetStore:
    return open_store(folder)


def open_store(folder: Path, now_s: float = 1000.5) -> DatasetStore:
    store = DatasetStore(folder, LIMITS, now=lambda: now_s)
    store.open()
    return store


def add(store: DatasetStore, content: str = CONTENT, name: str = "reviews.csv") -> Dataset:
    return store.add(in_chunks(content, 10), name=name)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_dataset_is_kept_with_its_report(store: DatasetStore, folder: Path) -> None:
    dataset = add(store)
    assert (dataset.name, dataset.format, dataset.size_bytes) == (
        "reviews.csv",
        DatasetFormat.CSV,
        len(CONTENT),
    )
    assert (dataset.report.samples, dataset.added_at) == (2, 1000)
    assert list(store.samples(dataset)) == [Labelled("good", ("positive",)), Labelled("bad", ("negative",))]
    assert files_in(folder) == [f"{dataset.sha256}.data", f"{dataset.id}.json"]
    assert (folder / f"{dataset.sha256}.data").read_text() == CONTENT
    again = open_store(folder)
    assert again.list() == (dataset,)
    assert again.get(dataset.id) == dataset
    store.check(dataset)


def test_the_same_content_is_kept_once(store: DatasetStore, folder: Path) -> None:
    first = add(store)
    second = DatasetStore(folder, LIMITS, now=lambda: 5000.0).add(in_chunks(CONTENT, 3), name="copy.csv")
    assert second == first
    assert len(files_in(folder)) == 2


def test_the_same_content_in_another_format_is_another_dataset(store: DatasetStore, folder: Path) -> None:
    labelled = add(store)
    text = store.add([CONTENT.encode()], stated=DatasetFormat.TEXT)
    assert text.id != labelled.id
    assert next(store.samples(text)) == PlainText("text,label")
    assert len(files_in(folder)) == 3
    store.remove(labelled.id)
    assert list(store.samples(text))[1] == PlainText("good,positive")
    store.remove(text.id)
    assert files_in(folder) == []


def test_a_dataset_with_errors_is_refused_with_its_report_and_leaves_nothing(
    store: DatasetStore, folder: Path
) -> None:
    with pytest.raises(DatasetRefusedError, match="No label in row 2") as caught:
        add(store, "text,label\nno label,\na,b,c\n")
    assert [error.code for error in caught.value.report.errors] == [
        FindingCode.MISSING_LABEL,
        FindingCode.WRONG_FIELD_COUNT,
    ]
    assert caught.value.message.endswith("(1 more in the report.)")
    assert files_in(folder) == []


def test_more_bytes_than_allowed_are_not_even_written(store: DatasetStore, folder: Path) -> None:
    with store.begin(name="a.csv") as upload, pytest.raises(DatasetRefusedError) as caught:
        for _ in range(1000):
            upload.write(b"x" * 1000)
    assert caught.value.report.errors[0].code is FindingCode.TOO_LARGE
    assert caught.value.report.size_bytes == 11_000
    assert files_in(folder) == []


def test_an_upload_that_ends_in_the_middle_leaves_nothing(store: DatasetStore, folder: Path) -> None:
    with store.begin(name="a.csv") as upload:
        upload.write(CONTENT.encode()[:20])
        assert len(files_in(folder)) == 1
        assert store.list() == ()
    assert files_in(folder) == []

    def cut() -> Iterator[bytes]:
        yield CONTENT.encode()[:20]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.add(cut(), name="a.csv")
    assert files_in(folder) == []


def test_what_a_killed_daemon_left_does_not_count_and_is_removed(folder: Path) -> None:
    store = open_store(folder)
    kept = add(store)
    script = f"""
        import os, pathlib
        from puna.domain.datasets import DatasetLimits
        from puna.finetune.datasets.store import DatasetStore
        upload = DatasetStore(pathlib.Path({str(folder)!r}), DatasetLimits()).begin(name="a.csv")
        upload.write(b"text,label" * 10000)
        os._exit(9)
    """
    child = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert child.returncode == 9
    (folder / ("f" * 64 + ".data")).write_bytes(b"a content whose record was never written")
    assert len(files_in(folder)) == 4
    again = open_store(folder)
    assert again.list() == (kept,)
    assert files_in(folder) == [f"{kept.sha256}.data", f"{kept.id}.json"]


@pytest.mark.parametrize("moment", ["write", "sync", "rename", "record"])
def test_a_full_disk_leaves_nothing_half(
    store: DatasetStore, folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    upload = store.begin(name="reviews.csv")
    upload.write(CONTENT.encode())
    if moment == "write":
        monkeypatch.setattr(upload._stream, "flush", fail, raising=False)
    elif moment == "sync":
        monkeypatch.setattr("os.fsync", fail)
    elif moment == "rename":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        monkeypatch.setattr("puna.finetune.datasets.shelf.write_private", fail)
    with pytest.raises(StoreError, match="because the disk is full; make room and add it again"):
        upload.finish()
    monkeypatch.undo()
    assert store.list() == ()
    assert files_in(folder) == []
    assert add(open_store(folder)).report.samples == 2
    assert len(files_in(folder)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
def test_a_disk_that_really_takes_no_more_leaves_nothing_half(folder: Path) -> None:
    open_store(folder)
    script = f"""
        import pathlib, resource, signal
        from puna.domain.datasets import DatasetLimits
        from puna.errors import StoreError
        from puna.finetune.datasets.store import DatasetStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        store = DatasetStore(pathlib.Path({str(folder)!r}), DatasetLimits())
        rows = (b"some text of a row,positive\\n" for _ in range(5000))
        try:
            store.add([b"text,label\\n", *rows], name="a.csv")
        except StoreError as error:
            print(error)
    """
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=True, capture_output=True, text=True
    )
    assert "because the disk is full" in child.stdout
    assert files_in(folder) == []


def test_a_removed_dataset_is_gone(store: DatasetStore, folder: Path) -> None:
    dataset = add(store)
    store.remove(dataset.id)
    assert store.list() == ()
    assert files_in(folder) == []
    with pytest.raises(NotFoundError, match=r"no dataset ds_.*; `puna datasets ls` lists them"):
        store.get(dataset.id)
    with pytest.raises(NotFoundError):
        store.remove(dataset.id)
    with pytest.raises(StoreError, match="damaged or gone"):
        store.check(dataset)
    with pytest.raises(StoreError, match="damaged or gone"):
        list(store.samples(dataset))


@pytest.mark.parametrize(
    "wanted", ["", "..", "../state", "ds_0123456789abcdef_csv/../x", "x" * 5000, "a\0b", "/etc/passwd"]
)
def test_an_id_names_a_dataset_or_nothing(store: DatasetStore, wanted: str) -> None:
    with pytest.raises(NotFoundError):
        store.get(wanted)


def test_a_truncated_or_changed_content_is_noticed_and_mended_by_adding_it_again(
    store: DatasetStore, folder: Path
) -> None:
    dataset = add(store)
    place = folder / f"{dataset.sha256}.data"
    for damaged in (CONTENT[:-9], CONTENT.replace("good", "mood")):
        place.write_text(damaged)
        with pytest.raises(StoreError, match="damaged or gone; remove it and add it again"):
            store.check(dataset)
    assert add(store) == dataset
    store.check(dataset)


def test_a_content_that_is_no_longer_text_fails_in_the_middle(store: DatasetStore, folder: Path) -> None:
    dataset = add(store)
    (folder / f"{dataset.sha256}.data").write_bytes(CONTENT.encode() + b"\xff,x\n")
    samples = store.samples(dataset)
    assert next(samples) == Labelled("good", ("positive",))
    with pytest.raises(StoreError):
        list(samples)


def test_a_damaged_record_hides_its_dataset_only_and_keeps_its_content(
    store: DatasetStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = add(store), add(store, "text,label\nx,y\n")
    (folder / f"{first.id}.json").write_bytes(b'{"id": ')
    again = open_store(folder)
    assert again.list() == (second,)
    assert "cannot be read" in caplog.text
    assert (folder / f"{first.sha256}.data").exists()
    assert add(again) == first


def test_the_newest_dataset_is_listed_first(folder: Path) -> None:
    old = add(open_store(folder, now_s=1.0))
    new = add(open_store(folder, now_s=2.0), "text,label\nx,y\n")
    assert open_store(folder).list() == (new, old)


def test_a_file_is_added_from_its_path(store: DatasetStore, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text(CONTENT)
    dataset = store.add_file(path)
    assert (dataset.name, dataset.report.samples) == ("reviews.csv", 2)
    path.unlink()
    store.check(dataset)
    stated = tmp_path / "tale"
    stated.write_text("Once\nupon\n")
    assert store.add_file(stated, stated=DatasetFormat.TEXT).report.samples == 2


@pytest.mark.parametrize("name", ["/home/me/reviews.csv", "C:\\Users\\me\\reviews.csv", "re\x1bviews.csv\n"])
def test_a_name_is_kept_without_folders_and_without_what_a_terminal_obeys(
    store: DatasetStore, name: str
) -> None:
    assert add(store, name=name).name == "reviews.csv"


def test_a_path_that_is_no_file_is_refused(store: DatasetStore, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"missing\.csv cannot be read: No such file"):
        store.add_file(tmp_path / "missing.csv")
    with pytest.raises(InvalidRequestError, match="is no file"):
        store.add_file(tmp_path)
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * 10_001)
    with pytest.raises(DatasetRefusedError, match="larger than 10,000 bytes"):
        store.add_file(large)
    assert files_in(folder) == []


@pytest.mark.skipif(sys.platform == "win32", reason="access is by lists there, not by modes")
def test_files_are_for_their_user_only(store: DatasetStore, folder: Path) -> None:
    dataset = add(store)
    for path in (folder, folder / f"{dataset.sha256}.data", folder / f"{dataset.id}.json"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    os.mkfifo(folder.parent / "pipe.csv")
    with pytest.raises(InvalidRequestError, match="is no file"):
        store.add_file(folder.parent / "pipe.csv")
