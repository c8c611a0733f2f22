"""What `puna adapters export --merged` asks for and prints."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import puna.cli.exporting
from fakes.canned_control import CannedControl, run_canned_control
from puna.domain.merging import ExportEvent, MergeResult
from puna.finetune_client import FinetuneClient
from unit.conftest import Run

ADAPTER = "ft_model_0123456789ab"
ROUTE = f"POST /puna/v1/adapters/{ADAPTER}/export"
CHECKING = ExportEvent(phase="checking", done_bytes=5, total_bytes=10)
WRITING = ExportEvent(phase="writing", done_bytes=1, total_bytes=20)


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedControl]:
    with run_canned_control() as (control, endpoint):
        monkeypatch.setattr(puna.cli.exporting, "connect_finetunes", lambda _: FinetuneClient(endpoint))
        yield control


def test_a_merged_model_is_made_by_the_daemon(puna: Run, control: CannedControl, tmp_path: Path) -> None:
    target = tmp_path / "whole.gguf"
    result = MergeResult(path=str(target), size_bytes=20, quantisation="Q8_0", changed_tensors=3)
    done = ExportEvent(phase="done", done_bytes=20, total_bytes=20, result=result)
    control.stream(ROUTE, CHECKING, WRITING, done, name="export")
    ended = puna("adapters", "export", ADAPTER, str(target), "--merged", "--type", "q8_0")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{target} is a model of its own (Q8_0, 20 B); `puna add {target}` lists it.\n"
    assert control.body_of(ROUTE) == {"path": str(target), "merged": True, "type": "Q8_0"}


def test_a_relative_path_is_meant_from_where_the_person_is(
    puna: Run, control: CannedControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    control.stream(ROUTE, CHECKING, name="export")
    ended = puna("adapters", "export", ADAPTER, "whole.gguf", "--merged")
    assert (ended.code, ended.err) == (
        3,
        "puna: Puna stopped before the file was whole; nothing is left of it.\n",
    )
    assert control.body_of(ROUTE) == {"path": str(tmp_path / "whole.gguf"), "merged": True, "type": None}


@pytest.mark.parametrize("lost", [ConnectionResetError("reset"), TimeoutError("timed out")])
def test_a_lost_connection_is_no_fault_of_the_file(
    puna: Run, control: CannedControl, monkeypatch: pytest.MonkeyPatch, lost: OSError
) -> None:
    def lose(*_: object) -> int:
        raise lost

    monkeypatch.setattr(FinetuneClient, "export_adapter", lose)
    monkeypatch.setattr(FinetuneClient, "adapter", lambda *_: SimpleNamespace(base_id="demo"))
    ended = puna("adapters", "export", ADAPTER, "mine.gguf")
    assert (ended.code, ended.err) == (
        3,
        "puna: The connection to Puna was lost before the file was whole.\n",
    )


def test_a_hint_can_be_typed_as_it_stands(puna: Run, control: CannedControl, tmp_path: Path) -> None:
    target = tmp_path / "my model.gguf"
    result = MergeResult(path=str(target), size_bytes=20, quantisation="Q8_0", changed_tensors=3)
    done = ExportEvent(phase="done", done_bytes=20, total_bytes=20, result=result)
    control.stream(ROUTE, done, name="export")
    assert f"`puna add '{target}'`" in puna("adapters", "export", ADAPTER, str(target), "--merged").out


def test_why_the_daemon_refuses_is_told(puna: Run, control: CannedControl) -> None:
    control.answer(ROUTE, {"detail": "whole.gguf is there already; name a new file."}, status=400)
    ended = puna("adapters", "export", ADAPTER, "whole.gguf", "--merged")
    assert (ended.code, ended.err) == (1, "puna: whole.gguf is there already; name a new file.\n")


def test_a_type_is_for_merged_models_only(puna: Run, control: CannedControl) -> None:
    ended = puna("adapters", "export", ADAPTER, "mine.gguf", "--type", "Q8_0")
    assert ended.code == 2
    assert "--type is for --merged" in ended.err
    assert not control.asked
