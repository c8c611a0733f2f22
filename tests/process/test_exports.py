"""Exports of merged models on a real daemon: the model that comes of it answers, and a daemon's end leaves nothing."""

from collections.abc import Iterator
from pathlib import Path

import openai
import psutil
import pytest

from fakes.adapter_shelves import put_adapter, record_of
from process.conftest import RunningDaemon, StartDaemon, wait_until
from puna.domain.merging import ExportEvent, MergedType
from puna.finetune_client import FinetuneClient
from puna.model_client import ModelClient
from puna.models.gguf.reader import read_header
from puna.paths import Paths
from random_model.gguf_file import QUANTISATIONS, count_tokens, write_random_model
from random_model.shape import choose_shape

DEMO = Paths.for_user().demo_model


def serve(start_daemon: StartDaemon, home: Path, base: Path) -> tuple[RunningDaemon, str]:
    """Start a daemon with an adapter of this base; return the adapter's id too."""
    record = record_of(1, base, base_id="base")
    put_adapter(Paths.under(home).state_dir / "adapters", record, base, seed=1)
    daemon = start_daemon("--no-load-on-start", "--open-dialect", "openai", "--drain-timeout-s", "0.1")
    ModelClient(daemon.endpoint).add_model(str(base), "base")
    return daemon, record.id


def test_a_merged_model_is_added_and_answers(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon, adapter = serve(start_daemon, tmp_path, DEMO)
    target = tmp_path / "merged.gguf"
    events = list(FinetuneClient(daemon.endpoint).export_merged(adapter, target, MergedType.F16))
    assert events[-1].result is not None
    assert events[-1].result.size_bytes == target.stat().st_size
    ModelClient(daemon.endpoint).add_model(str(target), "mine")
    with openai.OpenAI(base_url=f"{daemon.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.completions.create(model="mine", prompt="Once upon a time", max_tokens=8)
    assert answer.usage is not None
    assert answer.usage.completion_tokens


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A model that takes some seconds to merge."""
    path = tmp_path / "large.gguf"
    shape = choose_shape(150e6, count_tokens(DEMO))
    write_random_model(path, shape, QUANTISATIONS["q4_0"], vocabulary_of=DEMO, context_length=512, seed=1)
    return path


def begin(daemon: RunningDaemon, adapter: str, target: Path) -> Iterator[ExportEvent]:
    """Begin an export and return once it writes."""
    events = FinetuneClient(daemon.endpoint).export_merged(adapter, target, MergedType.Q5_K)
    for event in events:
        if event.phase == "writing":
            break
    assert halves(target)
    return events


def halves(target: Path) -> list[Path]:
    return list(target.parent.glob(f".{target.name}.*.part"))


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_daemon_that_ends_leaves_no_half_file(
    start_daemon: StartDaemon, tmp_path: Path, large: Path, is_killed: bool
) -> None:
    daemon, adapter = serve(start_daemon, tmp_path, large)
    target = tmp_path / "merged.gguf"
    events = begin(daemon, adapter, target)
    mergers = psutil.Process(daemon.process.pid).children()
    assert mergers
    if is_killed:
        daemon.process.kill()
        daemon.process.wait()
    else:
        daemon.stop()
    wait_until(lambda: not halves(target))
    _, alive = psutil.wait_procs(mergers, timeout=60)
    assert not alive
    # A daemon that stops lets open requests finish for a moment: on a fast machine the model is there, whole.
    assert not target.exists() or (not is_killed and read_header(target).tensors)
    events.close()  # type: ignore[attr-defined]  # a generator, as the type does not say


def test_a_client_that_stops_reading_cancels_the_export(
    start_daemon: StartDaemon, tmp_path: Path, large: Path
) -> None:
    daemon, adapter = serve(start_daemon, tmp_path, large)
    target = tmp_path / "merged.gguf"
    begin(daemon, adapter, target).close()  # type: ignore[attr-defined]  # as above
    wait_until(lambda: not halves(target))
    assert not target.exists()
