"""What a model takes, and how it is loaded into the room that there is."""

import pytest
from msgspec.structs import replace

from puna.domain.memory import CPU, LayerShape, LoadPlan, ModelShape, Shortfall
from puna.domain.models import ModelKind
from puna.residency.estimate import Estimate, Gpu, Wish

MIB = 1024**2
GIB = 1024**3

SEVEN_B = ModelShape(
    layers=tuple(LayerShape(weights_bytes=120 * MIB, cell_bytes=4096) for _ in range(32)),
    input_bytes=100 * MIB,
    output_bytes=100 * MIB,
    scratch_floats=4 * 4096 + 3 * 14_336,
    width=4096,
    token_count=128_000,
    trained_length=131_072,
)
"""Some 4 GiB of weights, as a 7B model with grouped keys at Q4."""
CARD = Gpu(name="CUDA0")


def plan(
    cpu_gib: float, gpu_gib: float | None = None, *, shape: ModelShape = SEVEN_B, wish: Wish | None = None
) -> LoadPlan | Shortfall:
    rooms = {CPU: int(cpu_gib * GIB)}
    gpus = []
    if gpu_gib is not None:
        rooms["CUDA0"] = int(gpu_gib * GIB)
        gpus = [CARD]
    return Estimate(shape, wish or Wish(), gpus).plan(rooms)


def must(outcome: LoadPlan | Shortfall) -> LoadPlan:
    assert isinstance(outcome, LoadPlan)
    return outcome


def total(outcome: LoadPlan, device: str = CPU) -> int:
    return sum(need.total_bytes for need in outcome.needs if need.device == device)


def test_a_second_mask_is_counted_for_each_cell() -> None:
    one = must(plan(200))
    two = must(plan(200, shape=replace(SEVEN_B, masks=2)))
    assert one.total_cells == two.total_cells == 4 * 32_768
    difference = sum(each.compute_bytes for each in two.needs) - sum(each.compute_bytes for each in one.needs)
    assert difference == 4 * 32_768 * 512 * 2


def test_adapters_lie_beside_the_weights_that_they_change() -> None:
    plain, adapted = must(plan(16, 3)), must(plan(16, 3, wish=Wish(adapters_bytes=320 * MIB)))
    weights = sum(need.weights_bytes for need in adapted.needs)
    assert weights == SEVEN_B.weights_bytes + 320 * MIB
    assert (adapted.gpu_layers or 0) < (plain.gpu_layers or 0)
    on_gpu = [need.weights_bytes for need in adapted.needs if need.device == "CUDA0"]
    assert sum(on_gpu) == pytest.approx(((adapted.gpu_layers or 0) - 1) * 130 * MIB + 100 * MIB)
    assert isinstance(plan(4.5, wish=Wish(adapters_bytes=GIB)), Shortfall)


def test_the_context_is_a_fair_share_of_the_room() -> None:
    chosen = must(plan(16))
    assert chosen.context_length is not None
    assert 16_384 < chosen.context_length < 32_768
    assert chosen.context_length % 256 == 0
    assert total(chosen) < 8 * GIB


def test_with_much_room_the_context_is_long_and_has_cells_for_several() -> None:
    chosen = must(plan(200))
    assert chosen.context_length == 32_768
    assert chosen.total_cells == 4 * 32_768


def test_with_little_room_it_is_comfortable_then_short_and_then_there_is_none() -> None:
    assert must(plan(5.3)).context_length == 4096
    tight = must(plan(4.5))
    assert tight.context_length is not None
    assert 1024 <= tight.context_length < 4096
    assert tight.notes == (
        f"a context of more than {tight.context_length} tokens would take too much of the free memory",
    )
    assert isinstance(plan(4), Shortfall)


@pytest.mark.parametrize("gib", [4.4, 4.6, 4.8, 5.0, 6.0, 9.3, 16, 40, 200])
@pytest.mark.parametrize("gpu_gib", [None, 0.2, 1.0, 3.3, 4.4, 6.0, 20.0])
def test_no_plan_exceeds_its_room(gib: float, gpu_gib: float | None) -> None:
    outcome = plan(gib, gpu_gib)
    if isinstance(outcome, LoadPlan):
        assert total(outcome) <= gib * GIB
        assert total(outcome, "CUDA0") <= (gpu_gib or 0) * GIB


def test_more_room_is_never_worse() -> None:
    last = (0, 0)
    for step in range(40, 400):
        outcome = plan(20, step / 40)
        worth = (must(outcome).gpu_layers or 0, min(must(outcome).context_length or 0, 4096))
        assert worth >= last
        last = worth
    assert last == (33, 4096)


def test_a_wished_length_is_kept_or_the_numbers_are_told() -> None:
    chosen = must(plan(16, wish=Wish(context_length=65_536)))
    assert chosen.context_length == 65_536
    outcome = plan(8, wish=Wish(context_length=65_536))
    assert isinstance(outcome, Shortfall)
    assert outcome.is_length_wished
    assert outcome.context_length == 65_536
    assert outcome.need.cache_bytes == 65_536 * 32 * 4096
    assert outcome.room_bytes == 8 * GIB


def test_layers_go_to_the_gpu_as_far_as_they_fit() -> None:
    whole = must(plan(16, 10))
    assert whole.gpu_layers == 33
    assert not whole.placement_reason
    assert total(whole) < GIB, "the table of tokens and the process stay"
    part = must(plan(16, 3))
    assert part.gpu_layers is not None
    assert 10 < part.gpu_layers < 25
    assert part.placement_reason == (
        f"no more than {part.gpu_layers} of 33 layers fit the free memory of CUDA0"
    )
    none = must(plan(16, 0.3))
    assert (none.gpu_layers, none.placement_reason) == (0, "no layer fits the free memory of CUDA0")


def test_what_is_not_on_the_gpu_is_in_main_memory_and_nothing_is_twice() -> None:
    part = must(plan(16, 3))
    assert sum(need.weights_bytes for need in part.needs) == SEVEN_B.weights_bytes
    cells = part.total_cells or 0
    assert sum(need.cache_bytes for need in part.needs) == cells * 32 * 4096


def test_a_setting_limits_the_layers_on_the_gpu() -> None:
    five = must(plan(16, 10, wish=Wish(gpu_layers=5)))
    assert (five.gpu_layers, five.placement_reason) == (5, "the setting gpu_layers is 5")
    assert must(plan(16, 10, wish=Wish(gpu_layers=99))).gpu_layers == 33
    assert must(plan(16, 10, wish=Wish(gpu_layers=0))).gpu_layers == 0


def test_a_table_that_is_the_output_too_is_on_the_gpu_once_more() -> None:
    shape = ModelShape(
        layers=(LayerShape(10 * MIB, 64),),
        input_bytes=50 * MIB,
        output_bytes=0,
        tied_bytes=50 * MIB,
        scratch_floats=100,
        width=16,
        token_count=100,
        trained_length=2048,
    )
    on_gpu = {need.device: need.weights_bytes for need in must(plan(4, 4, shape=shape)).needs}
    assert on_gpu == {CPU: 50 * MIB, "CUDA0": 60 * MIB}
    on_cpu = {need.device: need.weights_bytes for need in must(plan(4, shape=shape)).needs}
    assert on_cpu == {CPU: 60 * MIB}


def test_several_gpus_share_the_layers_as_llama_cpp_deals_them_out() -> None:
    gpus = [Gpu(name="CUDA0"), Gpu(name="CUDA1")]
    rooms = {CPU: 16 * GIB, "CUDA0": 12 * GIB, "CUDA1": 4 * GIB}
    chosen = must(Estimate(SEVEN_B, Wish(context_length=4096, slots=1), gpus).plan(rooms))
    weights = {need.device: need.weights_bytes for need in chosen.needs}
    # 33 layers in the proportion 3 to 1: 25 and 8, of which the last is the output.
    assert weights == {CPU: 100 * MIB, "CUDA0": 25 * 120 * MIB, "CUDA1": 7 * 120 * MIB + 100 * MIB}


def test_a_gpu_without_memory_of_its_own_takes_from_the_machine() -> None:
    apple = Gpu(name="MTL0", is_shared=True)
    rooms = {CPU: 10 * GIB, "MTL0": 12 * GIB}
    chosen = must(Estimate(SEVEN_B, Wish(), [apple]).plan(rooms))
    assert chosen.gpu_layers == 33
    assert total(chosen, "MTL0") < total(chosen) <= 10 * GIB
    assert isinstance(Estimate(SEVEN_B, Wish(), [apple]).plan({CPU: 3 * GIB, "MTL0": 12 * GIB}), Shortfall)


def test_recurrent_state_counts_for_every_sequence_and_not_for_cells() -> None:
    shape = ModelShape(
        layers=(LayerShape(10 * MIB, 0, state_bytes=MIB), LayerShape(10 * MIB, 512)),
        input_bytes=MIB,
        output_bytes=MIB,
        scratch_floats=100,
        width=16,
        token_count=100,
        trained_length=2048,
    )
    chosen = must(plan(4, shape=shape, wish=Wish(slots=8)))
    assert chosen.needs[0].cache_bytes == 16 * MIB + (chosen.total_cells or 0) * 512


def embedder(*, cell_bytes: int, pools_last: bool = False) -> ModelShape:
    return ModelShape(
        layers=(LayerShape(10 * MIB, cell_bytes),),
        input_bytes=MIB,
        output_bytes=MIB,
        scratch_floats=1000,
        width=384,
        token_count=30_000,
        trained_length=8192,
        pools_last=pools_last,
    )


def test_an_embedding_model_has_one_batch_and_no_conversation() -> None:
    shape = embedder(cell_bytes=0)
    chosen = must(plan(4, shape=shape, wish=Wish(kind=ModelKind.EMBEDDING)))
    assert (chosen.context_length, chosen.total_cells) == (2048, 2048)
    assert chosen.needs[0].cache_bytes == 0
    assert isinstance(plan(0.05, shape=shape, wish=Wish(kind=ModelKind.EMBEDDING)), Shortfall)


def test_a_text_model_that_embeds_computes_logits_for_every_output() -> None:
    wish = Wish(kind=ModelKind.EMBEDDING)
    logits_bytes = 2048 * 30_000 * 4
    (every,) = must(plan(4, shape=embedder(cell_bytes=64), wish=wish)).needs
    (last,) = must(plan(4, shape=embedder(cell_bytes=64, pools_last=True), wish=wish)).needs
    assert every.compute_bytes > logits_bytes
    assert last.compute_bytes < logits_bytes // 10
