"""What one step computes."""

import random

from puna.worker.batching import Chunk, plan_step


def test_every_decoding_slot_gets_its_token_before_any_prompt() -> None:
    chunks = plan_step([1, 900, 1, 1], capacity=512, prompt_tokens=64)
    assert chunks == [Chunk(0, 1), Chunk(2, 1), Chunk(3, 1), Chunk(1, 64)]


def test_prompts_share_the_budget_and_short_ones_leave_theirs_to_the_long_ones() -> None:
    chunks = plan_step([1000, 10, 1000], capacity=512, prompt_tokens=210)
    assert {chunk.index: chunk.tokens for chunk in chunks} == {0: 100, 1: 10, 2: 100}


def test_a_lone_prompt_fills_the_batch() -> None:
    assert plan_step([2000], capacity=512, prompt_tokens=512) == [Chunk(0, 512)]


def test_nothing_pending_is_an_empty_plan() -> None:
    assert plan_step([], capacity=512, prompt_tokens=512) == []


def test_random_plans_hold_the_invariants() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        pending = [rng.choice([1, rng.randint(2, 3000)]) for _ in range(rng.randint(1, 16))]
        capacity, budget = rng.choice([16, 256, 512]), rng.randint(1, 512)
        chunks = plan_step(pending, capacity=capacity, prompt_tokens=budget)
        taken = {chunk.index: chunk.tokens for chunk in chunks}
        decoding = [i for i, count in enumerate(pending) if count == 1]
        prompts = [i for i, count in enumerate(pending) if count > 1]
        assert len(taken) == len(chunks)
        assert sum(taken.values()) <= capacity
        assert all(taken.get(i) == 1 for i in decoding[:capacity])
        assert sum(taken.get(i, 0) for i in prompts) <= budget
        assert all(1 <= taken[i] <= pending[i] for i in taken)
        room = min(capacity - len(decoding), budget)
        assert sum(taken.get(i, 0) for i in prompts) == min(max(room, 0), sum(pending[i] for i in prompts))
