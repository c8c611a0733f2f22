"""What a training step on one row does, in llama.cpp itself."""

import asyncio
import sys
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from fakes.tiny_models import write_sentencepiece_model
from fakes.trainers import DEMO, write_tiny_gemma

_PROGRAM = Path(__file__).parents[1] / "fakes" / "row_training.py"


class Answer(Struct):
    """What the program says."""

    losses: list[float] = []
    adapter: str = ""
    least_moved: float = 0.0
    ratio: float = 0.0
    slopes: dict[str, tuple[float, float]] = {}
    obstacles: list[str] = []


async def ask(*arguments: object) -> Answer:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_PROGRAM),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode("utf-8", "replace")[-2000:]
    return msgspec.json.decode(output or b"{}", type=Answer)


async def test_masked_positions_and_neighbours_do_not_influence_the_adapter() -> None:
    one = await ask("steps", DEMO, "--noise", 1)
    other = await ask("steps", DEMO, "--noise", 2)
    assert one.adapter == other.adapter
    assert one.losses == other.losses
    elsewhere = await ask("steps", DEMO, "--noise", 3, "--packed-with", 7)
    assert elsewhere.losses == pytest.approx(one.losses, rel=2e-3)
    assert one.losses[-1] < one.losses[0]


async def test_every_matrix_of_the_adapter_moves() -> None:
    assert (await ask("steps", DEMO, "--steps", 1)).least_moved > 0


async def test_the_gradient_is_the_slope_of_the_loss(tmp_path: Path) -> None:
    """By finite differences, in a row with neighbours; on a base in F32, whose forward pass rounds least."""
    base = tmp_path / "base.gguf"
    await ask("quantise", DEMO, base, "F32")
    slopes = (await ask("gradient", base)).slopes
    assert len(slopes) == 9
    for by_gradient, by_trying in slopes.values():
        assert by_trying == pytest.approx(by_gradient, rel=1e-2)


async def test_logits_of_the_counted_positions_alone_give_the_same_adapter() -> None:
    narrow, wide = await ask("steps", DEMO), await ask("steps", DEMO, "--wide")
    assert narrow.losses == pytest.approx(wide.losses, rel=1e-4)


async def test_the_gradient_of_a_step_begins_at_zero() -> None:
    """The first moment after two equal gradients is 1 + beta1 times that after one; added up it would be 2.9 times."""
    assert (await ask("moments", DEMO)).ratio == pytest.approx(1.9, rel=1e-3)


async def test_transposed_copies_change_the_cost_and_not_the_result() -> None:
    slow = await ask("steps", DEMO, "--copies", "none")
    for copies in ("f16", "bf16", "q8_0"):
        fast = await ask("steps", DEMO, "--copies", copies)
        assert fast.losses == pytest.approx(slow.losses, rel=5e-3)


@pytest.mark.parametrize("file_type", ["Q4_0", "Q8_0", "F16", "BF16", "F32"])
async def test_bases_of_every_kind_train_and_stay_as_they_are(file_type: str, tmp_path: Path) -> None:
    base = tmp_path / "base.gguf"
    await ask("quantise", DEMO, base, file_type)
    before = sha256(base.read_bytes()).digest()
    answer = await ask("steps", base)
    assert answer.losses[-1] < answer.losses[0] - 1
    assert answer.least_moved > 0
    assert sha256(base.read_bytes()).digest() == before


async def test_the_graph_tells_what_has_no_backward_pass(tmp_path: Path) -> None:
    llama = write_sentencepiece_model(tmp_path / "llama.gguf")
    assert (await ask("survey", llama)).obstacles == []
    gemma = write_tiny_gemma(tmp_path / "gemma.gguf")
    assert (await ask("survey", gemma)).obstacles == ["GEGLU"]
