"""The files of adapters and checkpoints."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from puna.domain.training import Evaluation, TrainingSettings
from puna.errors import InvalidRequestError
from puna.llama.training.survey import Matrix
from puna.trainer.adapter_file import choose_matrices, count_parameters, initial_adapter, write_adapter
from puna.trainer.checkpoint import Checkpoint, TrainingState, load_checkpoint, save_checkpoint
from puna.trainer.gguf_file import DamagedFileError, read_gguf, write_gguf

MATRICES = [
    Matrix(f"blk.{i}.{name}.weight", 0, 8, 64, 32) for i in range(2) for name in ("attn_q", "attn_output")
]
STATE = TrainingState(
    fingerprint="f",
    step=3,
    losses=(1.5, 0.5),
    before=Evaluation(samples=1, loss=2.0, exact=0, choices=1, right=1),
    seconds=9.5,
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    metadata: dict[str, str | int | float] = {"text": "lläma", "number": 7, "fraction": 0.5}
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones((1, 40), np.float32)}
    write_gguf(tmp_path / "file", metadata, tensors)
    found, arrays = read_gguf(tmp_path / "file")
    assert found == metadata
    assert list(arrays) == ["a", "b"]
    assert all(np.array_equal(arrays[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("size", [3, 30, 100, 200])
def test_a_file_that_is_cut_short_is_damaged(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_gguf(path, {"key": "value"}, {"tensor": np.ones((4, 8), np.float32)})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedFileError):
        read_gguf(path)


def test_a_large_file_is_written_without_a_copy_of_it(tmp_path: Path) -> None:
    tensors = {"a": np.ones((1000, 5000), np.float32), "b": np.ones((1, 1), np.float32)}
    tracemalloc.start()
    try:
        write_gguf(tmp_path / "file", {}, tensors)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < tensors["a"].nbytes / 4
    _, found = read_gguf(tmp_path / "file")
    assert np.array_equal(found["a"], tensors["a"])


def test_a_matrix_of_impossible_size_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_gguf(path, {}, {"tensor": np.ones((4, 8), np.float32)})
    shape = struct.pack("<IQQ", 2, 8, 4)
    path.write_bytes(path.read_bytes().replace(shape, struct.pack("<IQQ", 2, 2**40, 2**40)))
    with pytest.raises(DamagedFileError):
        read_gguf(path)


def test_a_new_adapter_changes_nothing_and_depends_on_the_seed_alone() -> None:
    one, same, other = (initial_adapter(MATRICES, TrainingSettings(rank=4, seed=seed)) for seed in (1, 1, 2))
    name = "blk.0.attn_q.weight.lora_a"
    assert one[name].shape == (4, 64)
    assert one["blk.1.attn_q.weight.lora_b"].shape == (32, 4)
    assert not one["blk.1.attn_q.weight.lora_b"].any()
    assert np.array_equal(one[name], same[name])
    assert not np.array_equal(one[name], other[name])
    assert not np.array_equal(one[name], one["blk.1.attn_q.weight.lora_a"])
    assert np.max(np.abs(one[name])) <= 1 / 8
    assert sum(array.size for array in one.values()) == count_parameters(MATRICES, 4)


def test_targets_are_matrices_of_blocks() -> None:
    found = choose_matrices([*MATRICES, Matrix("output.weight", 0, 8, 64, 100)], ("attn_q",))
    assert [matrix.name for matrix in found] == ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]


def test_a_target_that_the_model_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(InvalidRequestError, match="no ffn_gate; choose targets among attn_output, attn_q"):
        choose_matrices(MATRICES, ("attn_q", "ffn_gate"))


def test_callers_texts_never_replace_what_llama_cpp_reads(tmp_path: Path) -> None:
    path = tmp_path / "adapter.gguf"
    write_adapter(
        path,
        initial_adapter(MATRICES, TrainingSettings(rank=4)),
        architecture="llama",
        alpha=8,
        metadata={"puna.base": "abc", "adapter.type": "other"},
    )
    metadata, tensors = read_gguf(path)
    assert metadata == {
        "puna.base": "abc",
        "adapter.type": "lora",
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.lora.alpha": 8.0,
    }
    assert len(tensors) == 8


def test_a_checkpoint_is_read_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    adapter = initial_adapter(MATRICES, TrainingSettings(rank=4))
    moments = {name: (array * 2, array * 3) for name, array in adapter.items()}
    save_checkpoint(path, Checkpoint(STATE, adapter, moments))
    found = load_checkpoint(path)
    assert found is not None
    assert found.state == STATE
    assert found.adapter.keys() == adapter.keys()
    assert all(np.array_equal(found.moments[name][1], moments[name][1]) for name in adapter)


def test_no_checkpoint_and_a_damaged_one_are_none(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    assert load_checkpoint(path) is None
    path.write_bytes(b"GGUF")
    assert load_checkpoint(path) is None
    write_gguf(path, {"general.type": "adapter"}, {})
    assert load_checkpoint(path) is None


def test_a_save_that_fails_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint"
    adapter = initial_adapter(MATRICES, TrainingSettings(rank=4))
    moments = {name: (array, array) for name, array in adapter.items()}
    save_checkpoint(path, Checkpoint(STATE, adapter, moments))
    before = path.read_bytes()

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, Checkpoint(STATE, adapter, moments))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
