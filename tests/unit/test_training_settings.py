"""What a person may ask of a training, and what is known of architectures."""

import pytest

from puna.domain.training import ALL_TARGETS, TrainingSettings, find_obstacle


def test_the_defaults_are_right() -> None:
    assert TrainingSettings().find_fault() is None
    assert TrainingSettings().scale == 32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", float("nan")),
        ("learning_rate", 0),
        ("learning_rate", 1e-40),
        ("learning_rate", 1),
        ("rank", 0),
        ("rank", 300),
        ("alpha", 0),
        ("alpha", 1e-300),
        ("targets", ()),
        ("targets", ("output",)),
        ("row_length", 300),
        ("row_length", 0),
        ("row_length", 256 * 10**12),
        ("seed", -1),
        ("warm_up", 1),
        ("final_rate", 2),
        ("weight_decay", -0.1),
        ("threads", 0),
        ("checkpoint_every_s", 0),
    ],
)
def test_what_is_out_of_range_is_named_with_the_range(field: str, value: object) -> None:
    fault = TrainingSettings(**{field: value}).find_fault()  # type: ignore[arg-type]  # wrong on purpose
    assert fault is not None
    assert fault[0] == field
    assert fault[1]


def test_all_targets_can_be_chosen_alone() -> None:
    for target in ALL_TARGETS:
        assert TrainingSettings(targets=(target,)).find_fault() is None


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3", "smollm3", "unheard-of"])
def test_nothing_is_known_against_dense_models_and_unknown_ones(architecture: str) -> None:
    assert find_obstacle(architecture, ("blk.0.ffn_gate.weight",)) is None


@pytest.mark.parametrize(
    ("architecture", "why"),
    [("gemma3", "GELU"), ("phi3", "one tensor"), ("qwen3moe", "experts"), ("mamba", "recurrent")],
)
def test_architectures_without_a_backward_pass_are_known_with_the_reason(architecture: str, why: str) -> None:
    assert why in (find_obstacle(architecture) or "")


def test_experts_are_seen_in_the_names_of_tensors() -> None:
    assert "experts" in (find_obstacle("llama", ("blk.0.attn_q.weight", "blk.0.ffn_gate_exps.weight")) or "")
