"""What one step computes."""

import random

from puna.worker.batching import Chunk, Pending, plan_step


def slots(*tokens: int) -> list[Pending]:
    """Texts are 1, prompts more."""
    return [Pending(count, is_prompt=count > 1) for count in tokens]


def test_every_text_gets_its_token_before_any_prompt() -> None:
    chunks = plan_step(slots(1, 900, 1, 1), capacity=512, prompt_tokens=64)
    assert chunks == [Chunk(0, 1), Chunk(2, 1), Chunk(3, 1), Chunk(1, 64)]


def test_forced_tokens_go_in_with_the_text() -> None:
    pending = [Pending(6, is_prompt=False), Pending(900, is_prompt=True)]
    assert plan_step(pending, capacity=512, prompt_tokens=16) == [Chunk(0, 6), Chunk(1, 16)]


def test_prompts_share_the_budget_and_short_ones_leave_theirs_to_the_long_ones() -> None:
    chunks = plan_step(slots(1000, 10, 1000), capacity=512, prompt_tokens=210)
    assert {chunk.index: chunk.tokens for chunk in chunks} == {0: 100, 1: 10, 2: 100}


def test_a_lone_prompt_fills_the_batch() -> None:
    assert plan_step(slots(2000), capacity=512, prompt_tokens=512) == [Chunk(0, 512)]


def test_nothing_pending_is_an_empty_plan() -> None:
    assert plan_step([], capacity=512, prompt_tokens=512) == []


def test_random_plans_hold_the_invariants() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        pending = [
            Pending(rng.randint(1, 3000), is_prompt=True)
            if rng.random() < 0.4
            else Pending(rng.randint(1, 9), is_prompt=False)
            for _ in range(rng.randint(1, 16))
        ]
        capacity, budget = rng.choice([16, 256, 512]), rng.randint(1, 512)
        taken = {c.index: c.tokens for c in plan_step(pending, capacity=capacity, prompt_tokens=budget)}
        texts = [i for i, slot in enumerate(pending) if not slot.is_prompt]
        prompts = [i for i, slot in enumerate(pending) if slot.is_prompt]
        text_tokens = sum(pending[i].tokens for i in texts)
        assert all(1 <= count <= pending[i].tokens for i, count in taken.items())
        assert sum(taken.get(i, 0) for i in texts) == min(text_tokens, capacity)
        room = min(max(capacity - text_tokens, 0), budget)
        assert sum(taken.get(i, 0) for i in prompts) == min(room, sum(pending[i].tokens for i in prompts))
