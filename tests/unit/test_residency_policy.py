"""Who is loaded next, and who makes room."""

from puna.domain.memory import CPU, DeviceNeed, LoadPlan, Shortfall
from puna.residency.ledger import Rooms
from puna.residency.policy import Decision, Fit, Obstacle, Occupant, Situation, Want, decide

GPU = "GPU0"


def need(size: int, device: str = CPU) -> DeviceNeed:
    return DeviceNeed(device=device, weights_bytes=size)


def takes(size: int, *, comfortable: int | None = None) -> Fit:
    """A model of this size; with `comfortable` its context is short in less than that."""

    def fit(rooms: Rooms) -> LoadPlan | Shortfall:
        room = rooms.get(CPU, 0)
        if room < size:
            return Shortfall(need=need(size), room_bytes=room, context_length=1024)
        if comfortable is not None and room >= comfortable:
            return LoadPlan(context_length=4096, needs=(need(comfortable),))
        return LoadPlan(context_length=4096 if comfortable is None else 1024, needs=(need(size),))

    return fit


def on_gpu(size: int) -> Fit:
    """A model that goes to the GPU as a whole, or stays on the CPU."""

    def fit(rooms: Rooms) -> LoadPlan | Shortfall:
        if rooms.get(GPU, 0) >= size:
            return LoadPlan(context_length=4096, gpu_layers=10, needs=(need(size, GPU),))
        if rooms.get(CPU, 0) >= size:
            return LoadPlan(context_length=4096, gpu_layers=0, needs=(need(size),))
        return Shortfall(need=need(size), room_bytes=rooms.get(CPU, 0), context_length=1024)

    return fit


def there(
    name: str, size: int, *, last_used: int = 0, busy: bool = False, pinned: bool = False, device: str = CPU
) -> Occupant:
    return Occupant(id=name, claim={device: size}, is_busy=busy, is_pinned=pinned, last_used=last_used)


def ask(
    *wants: tuple[str, Fit],
    occupants: tuple[Occupant, ...] = (),
    leaving: tuple[int, ...] = (),
    capacity: int = 10,
    gpu: int = 0,
    limit: int = 9,
) -> Decision:
    """Let the wants decide in this order, the first has waited longest."""
    return decide(
        Situation(
            capacity={CPU: capacity, GPU: gpu},
            occupants=occupants,
            leaving=[{CPU: size} for size in leaving],
            wants=[Want(id=name, since=100 + i, fit=fit) for i, (name, fit) in enumerate(wants)],
            limit=limit,
        )
    )


def loaded(decision: Decision) -> list[str]:
    return [name for name, _ in decision.loads]


def test_what_fits_is_loaded_at_once_and_all_of_it_together() -> None:
    decision = ask(("a", takes(4)), ("b", takes(5)), occupants=(there("x", 1, busy=True),))
    assert loaded(decision) == ["a", "b"]
    assert not decision.evictions
    assert decision.head is None


def test_the_least_recently_used_idle_model_makes_room_and_no_other() -> None:
    decision = ask(
        ("a", takes(5)),
        occupants=(there("x", 4, last_used=3), there("y", 3, last_used=1), there("z", 3, last_used=2)),
    )
    assert decision.evictions == ("y", "z")
    assert not decision.loads, "it begins when they are gone"


def test_a_small_model_stays_where_a_larger_one_is_enough_though_it_was_used_later() -> None:
    decision = ask(
        ("a", takes(5)),
        occupants=(there("x", 1, last_used=1), there("y", 5, last_used=2), there("z", 4, last_used=3)),
    )
    assert decision.evictions == ("y",)


def test_nobody_is_evicted_while_somebody_leaves_already() -> None:
    decision = ask(("a", takes(5)), occupants=(there("x", 4),), leaving=(5,))
    assert not decision.evictions
    assert not decision.loads
    assert decision.head == "a"


def test_a_busy_model_is_drained_and_not_evicted() -> None:
    decision = ask(("a", takes(9)), occupants=(there("x", 4, busy=True), there("y", 2)))
    assert not decision.evictions, "the idle one stays as long as the busy one holds everything up"
    assert decision.drained == {"x", "y"}
    assert decision.drained_since == 100


def test_idle_models_are_enough_where_they_are() -> None:
    decision = ask(
        ("a", takes(6)), occupants=(there("x", 5, busy=True, last_used=1), there("y", 5, last_used=2))
    )
    assert decision.head == "a"
    assert decision.drained == {"x", "y"}
    decision = ask(
        ("a", takes(5)), occupants=(there("x", 5, busy=True, last_used=1), there("y", 5, last_used=2))
    )
    assert decision.evictions == ("y",)


def test_pinned_models_stay_and_the_refusal_names_them() -> None:
    decision = ask(("a", takes(5)), occupants=(there("x", 6, pinned=True), there("y", 2)))
    ((name, refusal),) = decision.refusals
    assert (name, refusal.obstacle, refusal.pinned) == ("a", Obstacle.PINNED_MEMORY, ("x",))
    assert not decision.evictions


def test_what_is_larger_than_the_machine_is_refused_and_costs_nobody_anything() -> None:
    decision = ask(("a", takes(11)), ("b", takes(4)), occupants=(there("y", 6),))
    ((name, refusal),) = decision.refusals
    assert (name, refusal.obstacle) == ("a", Obstacle.MEMORY)
    assert refusal.shortfall is not None
    assert refusal.shortfall.room_bytes == 10
    assert loaded(decision) == ["b"]
    assert not decision.evictions


def test_the_limit_holds_whatever_memory_there_is() -> None:
    decision = ask(
        ("a", takes(1)), occupants=(there("x", 1, last_used=2), there("y", 1, last_used=1)), limit=2
    )
    assert decision.evictions == ("y",)
    decision = ask(("a", takes(1)), occupants=(there("x", 1, pinned=True),), limit=1)
    assert decision.refusals[0][1].obstacle is Obstacle.PINNED_PLACES
    decision = ask(("a", takes(1)), leaving=(1,), limit=1)
    assert not decision.loads
    assert decision.head == "a"


def test_others_may_load_beside_the_one_that_waits_but_not_in_its_way() -> None:
    busy = there("x", 6, busy=True)
    decision = ask(("big", takes(8)), ("small", takes(2)), ("other", takes(2)), occupants=(busy,))
    assert loaded(decision) == ["small"], "with the second one the big one would not fit"
    assert decision.head == "big"


def test_others_evict_nobody_while_somebody_waits() -> None:
    decision = ask(
        ("big", takes(8)), ("b", takes(5)), occupants=(there("x", 6, busy=True), there("y", 4, last_used=1))
    )
    assert not decision.evictions
    assert not decision.loads


def test_two_that_wait_are_not_given_the_same_room() -> None:
    decision = ask(("a", takes(6)), ("b", takes(6)))
    assert loaded(decision) == ["a"]
    assert decision.head == "b"
    assert decision.drained == {"a"}


def test_an_idle_model_goes_for_a_comfortable_context() -> None:
    decision = ask(("a", takes(4, comfortable=7)), occupants=(there("x", 5),))
    assert decision.evictions == ("x",)
    decision = ask(("a", takes(4, comfortable=7)), occupants=(there("x", 5, busy=True),))
    assert loaded(decision) == ["a"], "for a busy one nobody waits who can do without"


def test_an_idle_model_goes_for_layers_on_the_gpu() -> None:
    decision = ask(("a", on_gpu(5)), occupants=(there("x", 5, device=GPU),), gpu=8)
    assert decision.evictions == ("x",)
    decision = ask(("a", on_gpu(5)), occupants=(there("x", 5),), gpu=8)
    assert loaded(decision) == ["a"]
