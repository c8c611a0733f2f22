"""How long the context is."""

from puna.domain.context_plan import COMFORTABLE, SHORTEST, ContextPlan, plan_context

ENDLESS = 1 << 40


def plan(
    trained: int = 131_072,
    wanted: int | None = None,
    slots: int = 8,
    free_cells: int = ENDLESS,
    fair_cells: int = ENDLESS,
    least: int = COMFORTABLE,
) -> ContextPlan | None:
    return plan_context(
        trained=trained,
        wanted=wanted,
        slots=slots,
        free_cells=free_cells,
        fair_cells=fair_cells,
        least=least,
    )


def test_a_small_model_gets_its_whole_trained_context_for_four_requests() -> None:
    assert plan(trained=2048) == ContextPlan(2048, 4 * 2048)
    assert plan(trained=2048, slots=1) == ContextPlan(2048, 2048)


def test_the_fair_share_limits_the_context() -> None:
    assert plan(fair_cells=8200, free_cells=40_000) == ContextPlan(8192, 8192)
    assert plan(trained=2048, fair_cells=5000, free_cells=40_000) == ContextPlan(2048, 4864)


def test_a_comfortable_context_may_take_more_than_the_fair_share() -> None:
    assert plan(fair_cells=100, free_cells=5000) == ContextPlan(COMFORTABLE, COMFORTABLE)


def test_what_holds_no_comfortable_context_holds_none_unless_less_will_do() -> None:
    assert plan(free_cells=4000, fair_cells=1000) is None
    assert plan(free_cells=4000, fair_cells=1000, least=SHORTEST) == ContextPlan(SHORTEST, SHORTEST)
    assert plan(free_cells=4000, fair_cells=2000, least=SHORTEST) == ContextPlan(1792, 1792)
    assert plan(free_cells=1000, fair_cells=500, least=SHORTEST) is None


def test_a_wanted_length_is_kept_or_refused() -> None:
    assert plan(wanted=16_384, fair_cells=10, free_cells=16_384) == ContextPlan(16_384, 16_384)
    assert plan(wanted=16_384, fair_cells=10, free_cells=16_383) is None


def test_a_wanted_length_ends_where_the_model_was_trained_to() -> None:
    assert plan(trained=4096, wanted=100_000, slots=1) == ContextPlan(4096, 4096)


def test_a_model_that_does_not_say_its_length_gets_the_default() -> None:
    assert plan(trained=0) == ContextPlan(32_768, 4 * 32_768)


def test_cells_are_padded_as_llama_cpp_does_and_stay_within_memory() -> None:
    assert plan(trained=1000, slots=1) == ContextPlan(1000, 1024)
    assert plan(trained=1000, slots=1, free_cells=1023) is None
    assert plan(trained=300, slots=8, fair_cells=600, free_cells=700) == ContextPlan(300, 512)
