"""Adapters merged with the demo model in real children; what comes of it, run beside base and adapter."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from fakes.adapters import write_adapter
from fakes.exports import COMMAND, FAILING_DISK, FULL_DISK, SLOW, record_of, split_model
from fakes.tiny_models import write_sentencepiece_model
from puna import launch
from puna.domain.generation import (
    Completion,
    CompletionBuilder,
    Finished,
    GenerationRequest,
    Sampling,
    Started,
    TextPrompt,
)
from puna.domain.merging import MergedType, MergePhase, MergeProgress, MergeResult
from puna.domain.models import ModelEntry
from puna.engine.remote import RemoteWorker
from puna.errors import InvalidRequestError, ModelLoadError, StoreError, WorkerDiedError
from puna.finetune.exporting import export_adapter
from puna.llama.quantising import FileType, quantise
from puna.llama.training.ggml import FloatArray
from puna.merging.pairs import read_pairs
from puna.models.gguf.reader import read_header
from puna.models.header import read_model_header

PROMPT = "Once upon a time, there was a llama who lived near a lake. Every morning the llama walked to the"
StartWorker = Callable[..., Awaitable[RemoteWorker]]


@pytest.fixture
def base(tmp_path: Path, demo_file: Path) -> Path:
    path = tmp_path / "base-f32.gguf"
    quantise(demo_file, path, FileType.F32)
    return path


@pytest.fixture
def adapter(tmp_path: Path, demo_file: Path) -> Path:
    return write_adapter(tmp_path / "adapter.gguf", demo_file, seed=1, strength=0.3)


class Export:
    """An export into the test's folder."""

    def __init__(self, folder: Path) -> None:
        self.target = folder / "merged.gguf"
        self.progress: list[MergeProgress] = []
        self.log = folder / "export.log"

    async def run(
        self,
        adapter: Path,
        *base: Path,
        merged_type: MergedType | None = None,
        command: list[str] = COMMAND,
        sha: str | None = None,
    ) -> MergeResult:
        return await export_adapter(
            record_of(base[0], sha=sha),
            adapter,
            base,
            self.target,
            merged_type=merged_type,
            on_progress=self.progress.append,
            log_file=self.log,
            command=command,
            environment=launch.child_environment(),
        )

    @property
    def has_left_nothing(self) -> bool:
        return not [path for path in self.target.parent.iterdir() if path != self.log]


@pytest.fixture
async def export(tmp_path: Path) -> AsyncIterator[Export]:
    folder = tmp_path / "exports"
    folder.mkdir()
    yield Export(folder)
    assert not find_mergers(), "the merger has ended"


def find_mergers() -> list[psutil.Process]:
    """Return the children that are mergers; what has just ended in another test has no command line any more."""
    return [
        each
        for each in psutil.process_iter(["ppid", "cmdline"])
        if each.info["ppid"] == os.getpid() and "puna.merging" in " ".join(each.info["cmdline"] or ())
    ]


def entry(path: Path) -> ModelEntry:
    return ModelEntry(id=path.stem, name=path.stem, path=path, size_bytes=path.stat().st_size)


async def complete(worker: RemoteWorker, adapter: Path | None = None) -> Completion:
    builder = CompletionBuilder()
    request = GenerationRequest(
        prompt=TextPrompt(PROMPT),
        sampling=Sampling(temperature=0),
        max_tokens=32,
        top_logprobs=0,
        adapter=None if adapter is None else str(adapter),
    )
    async for event in worker.generate(request):
        match event:
            case Started():
                pass
            case Finished():
                return builder.finish(event)
            case _:
                builder.push(event)
    raise AssertionError("no last event")


async def run_both(
    start_worker: StartWorker, base: Path, adapter: Path, merged: Path
) -> tuple[Completion, Completion, Completion]:
    """Return what the base says, what it says with the adapter, and what the merged model says."""
    worker = await start_worker(entry(base), context_length=128)
    plain, adapted = await complete(worker), await complete(worker, adapter)
    await worker.close()
    worker = await start_worker(entry(merged), context_length=128)
    return plain, adapted, await complete(worker)


def distance(one: Completion, other: Completion) -> float:
    """Return the largest difference of two texts' log probabilities, as far as their tokens agree."""
    pairs = list(zip(one.logprobs, other.logprobs, strict=False))
    same = next((i for i, (a, b) in enumerate(pairs) if a.text != b.text), len(pairs))
    assert same >= 4, (one.text, other.text)
    return max(abs(a.logprob - b.logprob) for a, b in pairs[:same])


@pytest.mark.parametrize(("merged_type", "tolerance"), [(None, 1e-2), (MergedType.F16, 2e-2)])
async def test_a_merged_model_says_what_base_and_adapter_say(
    start_worker: StartWorker,
    export: Export,
    base: Path,
    adapter: Path,
    merged_type: MergedType | None,
    tolerance: float,
) -> None:
    await export.run(adapter, base, merged_type=merged_type)
    plain, adapted, merged = await run_both(start_worker, base, adapter, export.target)
    assert plain.text != adapted.text
    assert merged.text == adapted.text
    assert len(merged.logprobs) > 10
    assert distance(merged, adapted) < tolerance


async def test_a_quantised_base_is_merged_in_its_own_types(
    start_worker: StartWorker, export: Export, demo_file: Path, adapter: Path
) -> None:
    result = await export.run(adapter, demo_file)
    before, after = read_header(demo_file), read_header(export.target)
    assert [(t.name, t.type, t.dims) for t in after.tensors] == [
        (t.name, t.type, t.dims) for t in before.tensors
    ]
    assert result.size_bytes == export.target.stat().st_size
    assert result.quantisation == read_model_header(demo_file).quantisation
    _, adapted, merged = await run_both(start_worker, demo_file, adapter, export.target)
    assert distance(merged, adapted) < 0.2


def numbers(path: Path, name: str) -> FloatArray:
    """Return a matrix of a file in F32."""
    header = read_header(path)
    tensor = next(tensor for tensor in header.tensors if tensor.name == name)
    content = path.read_bytes()[header.data_offset + tensor.offset :][: tensor.size_bytes]
    return np.frombuffer(content, "<f4").reshape(tensor.dims[::-1])


async def test_what_is_added_is_the_product_times_alpha_by_rank(
    export: Export, base: Path, adapter: Path
) -> None:
    result = await export.run(adapter, base)
    name = "blk.3.attn_q.weight"
    a, b = numbers(adapter, f"{name}.lora_a"), numbers(adapter, f"{name}.lora_b")
    expected = numbers(base, name).astype("f8") + b.astype("f8") @ a.astype("f8")
    assert np.allclose(numbers(export.target, name), expected, rtol=0, atol=1e-5)
    changed = {
        tensor.name
        for tensor in read_header(base).tensors
        if not np.array_equal(numbers(base, tensor.name), numbers(export.target, tensor.name))
    }
    assert changed == {tensor.name.rpartition(".")[0] for tensor in read_header(adapter).tensors}
    assert result.changed_tensors == len(changed)


async def test_the_tokenizer_and_the_template_are_kept_and_the_name_is_extended(
    export: Export, demo_file: Path, adapter: Path
) -> None:
    await export.run(adapter, demo_file, merged_type=MergedType.Q4_K)
    base, merged = read_pairs(demo_file), read_pairs(export.target)
    changed = {"general.name", "general.file_type", "general.quantization_version"}
    assert {key: merged[key] for key in base if key not in changed} == {
        key: value for key, value in base.items() if key not in changed
    }
    before, after = read_model_header(demo_file), read_model_header(export.target)
    assert after.name == f"{before.name} + Complaints"
    assert (after.quantisation, after.chat_template) == ("Q4_K_S", before.chat_template)
    assert read_header(export.target).metadata.text("puna.adapter.id") == "ft_model_0123456789ab"


@pytest.mark.parametrize("merged_type", MergedType)
async def test_every_type_can_be_run(
    start_worker: StartWorker, export: Export, demo_file: Path, adapter: Path, merged_type: MergedType
) -> None:
    result = await export.run(adapter, demo_file, merged_type=merged_type)
    assert result.quantisation.startswith(merged_type)
    worker = await start_worker(entry(export.target), context_length=64)
    assert (await complete(worker)).finished.usage.completion_tokens


async def test_progress_goes_from_the_check_to_the_last_byte(
    export: Export, demo_file: Path, adapter: Path
) -> None:
    result = await export.run(adapter, demo_file)
    assert {each.phase for each in export.progress} == set(MergePhase)
    assert [each.phase for each in export.progress] == sorted(each.phase for each in export.progress)
    sizes = {MergePhase.CHECKING: read_header(demo_file).file_size, MergePhase.WRITING: result.size_bytes}
    for phase, total in sizes.items():
        done = [each.done_bytes for each in export.progress if each.phase is phase]
        assert done == sorted(done)
        assert total * 0.9 < done[-1] <= total
        assert {each.total_bytes for each in export.progress if each.phase is phase} == {total}


async def test_an_adapter_of_another_base_is_refused(export: Export, demo_file: Path, adapter: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"trained on another file than demo\.gguf"):
        await export.run(adapter, demo_file, sha="1" * 64)
    assert export.has_left_nothing


async def test_an_adapter_with_other_shapes_is_refused(
    export: Export, tmp_path: Path, demo_file: Path
) -> None:
    other = write_sentencepiece_model(tmp_path / "other.gguf")
    foreign = write_adapter(tmp_path / "foreign.gguf", other, seed=1)
    for wrong, message in ((foreign, r"does not fit its base"), (demo_file, r"no LoRA adapter")):
        with pytest.raises(InvalidRequestError, match=message):
            await export.run(wrong, demo_file)
    assert export.has_left_nothing


async def test_a_file_that_is_there_is_never_replaced(export: Export, demo_file: Path, adapter: Path) -> None:
    export.target.write_text("precious")
    with pytest.raises(InvalidRequestError, match=r"merged\.gguf is there already"):
        await export.run(adapter, demo_file)
    assert export.target.read_text() == "precious"


async def test_a_full_disk_is_seen_before_anything_is_written(
    export: Export, demo_file: Path, adapter: Path
) -> None:
    with pytest.raises(StoreError, match=r"Not enough room for merged\.gguf: .* are needed, .* are free"):
        await export.run(adapter, demo_file, command=FULL_DISK)
    assert export.has_left_nothing


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are Unix's")
async def test_a_disk_that_fills_leaves_no_half_file(export: Export, demo_file: Path, adapter: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be written \(File too large\)"):
        await export.run(adapter, demo_file, command=FAILING_DISK)
    assert export.has_left_nothing


def cut_short(path: Path, shorter: Path) -> Path:
    shorter.write_bytes(path.read_bytes()[:-1000])
    return shorter


async def test_a_base_that_was_cut_short_is_refused(
    export: Export, tmp_path: Path, demo_file: Path, adapter: Path
) -> None:
    cut = cut_short(demo_file, tmp_path / "cut.gguf")
    with pytest.raises(ModelLoadError, match=r"cut"):
        await export.run(adapter, cut)
    assert export.has_left_nothing


async def start_writing(export: Export, adapter: Path, base: Path) -> asyncio.Task[MergeResult]:
    task = asyncio.create_task(export.run(adapter, base, command=SLOW, merged_type=MergedType.F16))
    async with asyncio.timeout(60):
        while not export.progress or export.progress[-1].phase is not MergePhase.WRITING:
            await asyncio.sleep(0.01)
    assert not export.has_left_nothing
    return task


async def test_a_cancelled_export_removes_the_half_file(
    export: Export, demo_file: Path, adapter: Path
) -> None:
    task = await start_writing(export, adapter, demo_file)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert export.has_left_nothing


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
async def test_a_child_that_is_killed_is_a_clean_failure(
    export: Export, demo_file: Path, adapter: Path
) -> None:
    task = await start_writing(export, adapter, demo_file)
    os.kill(find_mergers()[0].pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match=r"SIGKILL"):
        await task
    assert export.has_left_nothing


async def test_a_base_in_parts_becomes_one_file(
    export: Export, tmp_path: Path, demo_file: Path, adapter: Path
) -> None:
    parts = split_model(demo_file, tmp_path)
    await export.run(adapter, *parts)
    whole = export.target.with_name("whole.gguf")
    export.target.replace(whole)
    await export.run(adapter, demo_file)
    one, other = read_header(whole), read_header(export.target)
    assert "split.count" not in one.metadata
    assert one.tensors == other.tensors
    assert whole.read_bytes()[one.data_offset :] == export.target.read_bytes()[other.data_offset :]
