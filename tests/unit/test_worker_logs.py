"""The log file of each model's worker."""

from pathlib import Path

import pytest

from puna.engine.launcher import WorkerLauncher, WorkerOptions

LAUNCHER = WorkerLauncher(WorkerOptions(log_dir=Path("logs")))


@pytest.mark.parametrize("model_id", ["demo", "qwen3-0.6b-q4_k_m", "a" * 80])
def test_a_plain_name_is_the_files_name(model_id: str) -> None:
    assert LAUNCHER.log_file(model_id) == Path("logs", f"{model_id}.log")


def test_no_two_models_have_one_log() -> None:
    models = [
        "a/b", "a-b", "a:b", "-a-b", "a-b.", "A-b", "a-B", "ä-b", "ö-b", "ä", "ö", "", ".", "..", "\udcff",
        "x" * 81, "x" * 82, "one" + "x" * 80, "two" + "x" * 80,
    ]  # fmt: skip
    files = {LAUNCHER.log_file(model).name.lower() for model in models}
    assert len(files) == len(models)
    assert all(file.isascii() and len(file) < 100 and not file.startswith(".") for file in files)


def test_a_name_that_had_to_be_changed_is_still_recognised() -> None:
    name = LAUNCHER.log_file("Qwen/Qwen3-0.6B-GGUF:Q4_K_M").name
    assert name.startswith("Qwen-Qwen3-0.6B-GGUF-Q4_K_M-")
    assert name == LAUNCHER.log_file("Qwen/Qwen3-0.6B-GGUF:Q4_K_M").name
