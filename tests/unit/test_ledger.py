"""The book of memory."""

import pytest
from msgspec.structs import replace

from puna.domain.memory import CPU, DeviceNeed, LoadPlan
from puna.residency.ledger import ClaimExceedsRoomError, Ledger, Reading, add, fits, reserve_of, subtract

GIB = 1024**3
GPU = "CUDA0"


def main_memory(free_gib: float, ours_gib: float = 0.0) -> Reading:
    return Reading(
        device=CPU, total_bytes=16 * GIB, free_bytes=int(free_gib * GIB), ours_bytes=int(ours_gib * GIB)
    )


def gpu(free_gib: float) -> Reading:
    return Reading(device=GPU, total_bytes=24 * GIB, free_bytes=int(free_gib * GIB))


def plan(**gib: float) -> LoadPlan:
    names = {"cpu": CPU, "gpu": GPU}
    return LoadPlan(
        needs=tuple(
            DeviceNeed(device=names[name], weights_bytes=int(size * GIB)) for name, size in gib.items()
        )
    )


def test_room_is_what_is_free_less_a_reserve() -> None:
    ledger = Ledger()
    ledger.observe([main_memory(free_gib=10)])
    assert ledger.rooms == {CPU: 10 * GIB - reserve_of(main_memory(10))}


def test_a_claim_takes_room_before_its_memory_is_used() -> None:
    ledger = Ledger()
    ledger.observe([main_memory(free_gib=10)])
    before = ledger.rooms[CPU]
    number = ledger.claim(plan(cpu=3))
    assert ledger.rooms[CPU] == before - 3 * GIB
    ledger.release(number)
    ledger.release(number)
    assert ledger.rooms[CPU] == before
    assert ledger.claims == 0


def test_what_a_worker_uses_of_its_claim_counts_once() -> None:
    ledger = Ledger()
    ledger.observe([main_memory(free_gib=10)])
    before = ledger.rooms[CPU]
    ledger.claim(plan(cpu=3))
    ledger.observe([main_memory(free_gib=8, ours_gib=2)])
    assert ledger.rooms[CPU] == before - 3 * GIB


def test_what_others_take_is_gone_and_may_leave_less_than_nothing() -> None:
    ledger = Ledger()
    ledger.observe([main_memory(free_gib=10)])
    ledger.claim(plan(cpu=8))
    ledger.observe([main_memory(free_gib=1, ours_gib=2)])
    assert ledger.rooms[CPU] < 0
    with pytest.raises(ClaimExceedsRoomError):
        ledger.claim(plan(cpu=0.001))


def test_on_a_gpu_claims_stand_for_what_is_ours() -> None:
    ledger = Ledger()
    ledger.observe([main_memory(10), gpu(free_gib=24)])
    before = ledger.rooms[GPU]
    number = ledger.claim(plan(cpu=1, gpu=10))
    ledger.settle(number)
    ledger.observe([gpu(free_gib=14)])
    assert ledger.rooms[GPU] == before - 10 * GIB


def test_while_a_load_is_under_way_a_gpu_keeps_its_earlier_figure() -> None:
    ledger = Ledger()
    ledger.observe([main_memory(10), gpu(free_gib=20)])
    before = ledger.rooms[GPU]
    number = ledger.claim(plan(cpu=1, gpu=10))
    ledger.observe([gpu(free_gib=17)])
    assert ledger.rooms[GPU] == before - 10 * GIB
    ledger.settle(number)
    ledger.observe([gpu(free_gib=9)])
    assert ledger.rooms[GPU] == before - 11 * GIB, "others took one more meanwhile"


def test_a_device_that_was_never_seen_has_no_room() -> None:
    with pytest.raises(ClaimExceedsRoomError):
        Ledger().claim(plan(cpu=0.001))
    assert Ledger().claim(LoadPlan()) == 1


@pytest.mark.parametrize(
    ("device", "total_gib", "reserve_gib"),
    [
        (CPU, 2, 0.5),
        (CPU, 8, 1),
        (CPU, 24, 2.4),
        (CPU, 128, 4),
        (GPU, 4, 0.25),
        (GPU, 24, 0.72),
        (GPU, 80, 1),
    ],
)
def test_the_reserve_grows_with_the_device(device: str, total_gib: float, reserve_gib: float) -> None:
    reading = Reading(device=device, total_bytes=int(total_gib * GIB), free_bytes=0)
    assert reserve_of(reading) == pytest.approx(reserve_gib * GIB)


def test_rooms_add_up() -> None:
    rooms = add({CPU: 5}, {CPU: 2, GPU: 1})
    assert rooms == {CPU: 7, GPU: 1}
    assert subtract(rooms, {GPU: 1}) == {CPU: 7, GPU: 0}
    assert fits({CPU: 7}, rooms)
    assert fits({CPU: 7, "CUDA1": 0}, rooms)
    assert not fits({CPU: 7, "CUDA1": 1}, rooms)


def test_a_look_from_before_a_claim_ended_is_left() -> None:
    now_s = 10.0
    ledger = Ledger(lambda: now_s)
    ledger.observe([main_memory(free_gib=16), gpu(free_gib=24)])
    whole = ledger.rooms
    number = ledger.claim(plan(cpu=5, gpu=10))
    ledger.settle(number)
    now_s = 20.0
    ledger.release(number)
    for since_s, others_gib in ((5.0, 0), (20.0, 0), (21.0, 10)):
        ledger.observe(
            [replace(each, since_s=since_s) for each in (main_memory(free_gib=6), gpu(free_gib=14))]
        )
        assert ledger.rooms == {device: size - others_gib * GIB for device, size in whole.items()}


def test_while_a_worker_ends_what_is_free_says_nothing_of_others() -> None:
    ledger = Ledger()
    ledger.observe([main_memory(free_gib=10), gpu(free_gib=20)])
    whole = ledger.rooms
    number = ledger.claim(plan(cpu=3, gpu=10))
    ledger.settle(number)
    ledger.note_leaving(number)
    ledger.observe([main_memory(free_gib=7, ours_gib=0), gpu(free_gib=20)])
    ledger.release(number)
    assert ledger.rooms == whole
    ledger.note_leaving(number)
    ledger.observe([main_memory(free_gib=9)])
    assert ledger.rooms == {**whole, CPU: whole[CPU] - GIB}, "one that is gone holds up nothing"
