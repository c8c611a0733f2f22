"""Which sequence a request takes, and what of it is computed already."""

import random

from puna.worker.sequences import CachedSequence, SequencePool, common_prefix


class RecordingCells:
    """Keeps the tokens that each sequence's cells would hold."""

    def __init__(self, *, can_trim: bool = True) -> None:
        self.lengths: dict[int, int] = {}
        self.firsts: dict[int, int] = {}
        """From where on the cells of a sliding window are there, if not from the beginning."""
        self.calls: list[tuple[object, ...]] = []
        self._can_trim = can_trim

    def copy_sequence(self, source: int, target: int, length: int) -> None:
        assert self.lengths.get(source, 0) >= length
        assert self.lengths.get(target, 0) == 0
        self.lengths[target] = length
        self.calls.append(("copy", source, target, length))

    def trim_sequence(self, sequence: int, length: int) -> bool:
        if not self._can_trim and length < self.lengths.get(sequence, 0):
            return False
        self.lengths[sequence] = min(length, self.lengths.get(sequence, 0))
        return True

    def drop_sequence(self, sequence: int) -> None:
        self.lengths[sequence] = 0

    def first_position(self, sequence: int) -> int:
        return self.firsts.get(sequence, 0)


def run(pool: SequencePool, cells: RecordingCells, prompt: list[int], text: list[int]) -> CachedSequence:
    """Let a request take a sequence, compute everything, and end."""
    sequence = compute(pool, cells, prompt)
    sequence.tokens.extend(text)
    cells.lengths[sequence.id] = len(sequence.tokens)
    pool.release(sequence)
    return sequence


def compute(pool: SequencePool, cells: RecordingCells, prompt: list[int]) -> CachedSequence:
    placement = pool.place(prompt)
    assert placement is not None
    sequence = pool.take(placement, prompt)
    sequence.tokens = list(prompt)
    cells.lengths[sequence.id] = len(prompt)
    return sequence


def test_the_next_turn_of_a_conversation_continues_its_own_sequence() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4)
    first = run(pool, cells, [1, 2, 3], [4, 5])
    placement = pool.place([1, 2, 3, 4, 5, 6, 7])
    assert placement is not None
    assert (placement.sequence, placement.donor, placement.length) == (first.id, first.id, 5)


def test_a_shared_prefix_is_copied_and_the_cached_one_stays_whole() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4)
    first = run(pool, cells, [1, 2, 3, 4], [5])
    second = compute(pool, cells, [1, 2, 9, 9])
    assert second is not first
    assert first.tokens == [1, 2, 3, 4, 5]
    assert ("copy", first.id, second.id, 2) in cells.calls


def test_a_prefix_is_shared_with_a_request_that_is_still_running() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4)
    busy = compute(pool, cells, [1, 2, 3, 4])
    placement = pool.place([1, 2, 3, 8])
    assert placement is not None
    assert placement.donor == busy.id
    assert placement.length == 3
    assert placement.sequence != busy.id


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4)
    run(pool, cells, [1, 2, 3], [])
    placement = pool.place([1, 2, 3])
    assert placement is not None
    assert placement.length == 2


def test_a_request_waits_for_a_prefix_that_another_is_about_to_compute() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4)
    prompt = list(range(100))
    placement = pool.place(prompt)
    assert placement is not None
    busy = pool.take(placement, prompt)
    assert pool.place([*range(90), 7, 7]) is None
    busy.tokens = list(range(64))
    assert pool.place([*range(90), 7, 7]) is not None
    busy.tokens = prompt
    shared = pool.place([*range(90), 7, 7])
    assert shared is not None
    assert shared.length == 90


def test_when_that_request_is_aborted_the_waiting_one_goes_on() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4)
    placement = pool.place(list(range(100)))
    assert placement is not None
    busy = pool.take(placement, list(range(100)))
    pool.release(busy)
    assert pool.place([*range(90), 7, 7]) is not None


def test_the_least_recently_used_prefix_makes_room() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 3)
    old = run(pool, cells, [1, 1, 1], [])
    run(pool, cells, [2, 2, 2], [])
    run(pool, cells, [3, 3, 3], [])
    assert compute(pool, cells, [4, 4, 4]) is old


def test_eviction_frees_the_oldest_and_never_a_busy_one() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 3)
    busy = compute(pool, cells, [9, 9])
    old = run(pool, cells, [1, 1], [])
    young = run(pool, cells, [2, 2], [])
    assert pool.evict()
    assert (old.tokens, young.tokens) == ([], [2, 2])
    assert pool.evict()
    assert not pool.evict()
    assert busy.tokens == [9, 9]


def test_a_recurrent_state_is_reused_whole_or_not_at_all() -> None:
    cells = RecordingCells(can_trim=False)
    pool = SequencePool(cells, 4, can_trim=False)
    run(pool, cells, [1, 2, 3], [4])
    whole = pool.place([1, 2, 3, 4, 5])
    part = pool.place([1, 2, 9, 9, 9])
    assert whole is not None
    assert part is not None
    assert (whole.length, part.length) == (4, 0)


def test_common_prefix_finds_the_first_difference() -> None:
    rng = random.Random(3)
    for _ in range(500):
        left = [rng.randint(0, 1) for _ in range(rng.randint(0, 40))]
        right = left[: rng.randint(0, len(left))] + [rng.randint(0, 1) for _ in range(rng.randint(0, 10))]
        expected = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
        assert common_prefix(left, right) == (min(len(left), len(right)) if expected is None else expected)


def test_random_histories_never_share_a_busy_sequence() -> None:
    rng = random.Random(11)
    for can_trim in (True, False):
        cells = RecordingCells(can_trim=can_trim)
        pool = SequencePool(cells, 6, can_trim=can_trim)
        busy: list[CachedSequence] = []
        for _ in range(3000):
            if len(busy) < 4 and rng.random() < 0.6:
                prompt = [rng.randint(0, 1) for _ in range(rng.randint(1, 12))]
                sequence = compute(pool, cells, prompt)
                assert sequence not in busy
                assert sequence.tokens == prompt
                busy.append(sequence)
            elif busy:
                pool.release(busy.pop(rng.randrange(len(busy))))
            if rng.random() < 0.1:
                pool.evict()
            assert all(cells.lengths.get(s.id, 0) == len(s.tokens) for s in pool.sequences)


def test_a_text_branches_off_only_where_the_cells_of_its_window_are_still_there() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4, window=16)
    prompt = list(range(100))
    first = run(pool, cells, prompt, [])
    cells.firsts[first.id] = 30
    lengths = [pool.place([*prompt[:kept], -1, -2]) for kept in (60, 46, 45, 20)]
    assert [each and each.length for each in lengths] == [60, 46, 0, 0]
    whole = pool.place([*prompt, -1])
    assert whole is not None
    assert whole.length == 100


def test_a_prompt_that_was_there_before_takes_its_old_cells() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4)
    first = run(pool, cells, [1, 2, 3, 4], [5, 6])
    again = pool.place([1, 2, 3, 4], is_repeatable=True)
    assert again is not None
    assert (again.sequence, again.donor, again.length) == (first.id, first.id, 3)


def test_what_others_cached_is_kept_whole() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4)
    first = run(pool, cells, [1, 2, 3, 4], [5, 6])
    different_end, one_token = (
        pool.place([1, 2, 3, 9], is_repeatable=True),
        pool.place([1], is_repeatable=True),
    )
    any_text = pool.place([1, 2, 3, 4])
    for placement in (different_end, one_token, any_text):
        assert placement is not None
        assert placement.sequence != first.id


def test_nobody_waits_for_a_busy_sequence_that_has_computed_what_they_share() -> None:
    cells = RecordingCells()
    pool = SequencePool(cells, 4, window=16)
    busy = compute(pool, cells, list(range(100)))
    cells.firsts[busy.id] = 80
    branching = pool.place([*range(60), -1])
    assert branching is not None
    assert branching.length == 0
