"""How long the context is."""

from puna.worker.context_plan import plan_context

GIB = 1024**3


def test_a_small_model_gets_its_whole_trained_context() -> None:
    plan = plan_context(trained=2048, wanted=None, slots=8, cell_bytes=3_072, free_bytes=4 * GIB)
    assert plan.context_length == 2048
    assert plan.total_cells == 4 * 2048


def test_memory_limits_the_context() -> None:
    plan = plan_context(trained=131_072, wanted=None, slots=8, cell_bytes=131_072, free_bytes=4 * GIB)
    assert plan.context_length == 8192
    assert plan.total_cells == 8192


def test_a_wanted_length_is_kept_whatever_the_memory() -> None:
    plan = plan_context(trained=131_072, wanted=16_384, slots=8, cell_bytes=131_072, free_bytes=GIB)
    assert plan.context_length == 16_384
    assert plan.total_cells >= 16_384


def test_a_wanted_length_ends_where_the_model_was_trained_to() -> None:
    assert (
        plan_context(trained=4096, wanted=100_000, slots=1, cell_bytes=1024, free_bytes=GIB).context_length
        == 4096
    )


def test_a_full_machine_still_gets_a_context() -> None:
    plan = plan_context(trained=4096, wanted=None, slots=8, cell_bytes=131_072, free_bytes=0)
    assert plan.context_length == 1024


def test_cells_are_padded_as_llama_cpp_does() -> None:
    plan = plan_context(trained=1000, wanted=None, slots=1, cell_bytes=1024, free_bytes=GIB)
    assert plan.total_cells == 1024
