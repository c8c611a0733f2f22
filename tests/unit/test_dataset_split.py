"""Training and held-out samples: apart, the same each time, and of every label."""

from collections import Counter
from collections.abc import Sequence

import pytest

from puna.domain.datasets import Completion, LabelCount, Labelled, PlainText, Sample
from puna.finetune.datasets.content import text_hash
from puna.finetune.datasets.splitting import Part, SplitRule, plan_split


def labelled(**counts: int) -> list[Labelled]:
    return [Labelled(f"{label} {n}", (label,)) for label, count in counts.items() for n in range(count)]


def held_out(samples: Sequence[Sample], rule: SplitRule, labels: Sequence[LabelCount] = ()) -> list[Sample]:
    split = plan_split(samples, rule, labels)
    kept = list(split.select(samples, Part.HELD_OUT))
    rest = list(split.select(samples, Part.TRAINING))
    assert Counter(map(text_hash, kept + rest)) == Counter(map(text_hash, samples))
    assert not {text_hash(sample) for sample in kept} & {text_hash(sample) for sample in rest}
    return kept


def labels_in(samples: Sequence[Sample]) -> Counter[str]:
    return Counter(label for sample in samples if isinstance(sample, Labelled) for label in sample.labels)


def test_each_label_gives_its_share() -> None:
    samples = labelled(a=200, b=100, c=30, d=6)
    kept = held_out(samples, SplitRule(share=0.1))
    assert labels_in(kept) == {"a": 20, "b": 10, "c": 3, "d": 1}


def test_the_split_follows_from_content_and_seed_and_not_from_the_order() -> None:
    samples = labelled(a=50, b=50)
    first = held_out(samples, SplitRule(seed=1))
    assert set(map(text_hash, held_out(samples[::-1], SplitRule(seed=1)))) == set(map(text_hash, first))
    assert set(map(text_hash, held_out(samples, SplitRule(seed=2)))) != set(map(text_hash, first))


def test_hashes_are_the_same_on_every_machine() -> None:
    assert text_hash(Labelled("ünï", ("a",)), seed=7) == 10271440743544048294
    assert text_hash(Completion("a", "bc")) != text_hash(Completion("ab", "c"))


def test_a_text_that_comes_twice_is_never_on_both_sides() -> None:
    samples = [*labelled(a=60, b=60), *labelled(a=60), *[Labelled(f"a {n}", ("b",)) for n in range(60)]]
    kept = held_out(samples, SplitRule(share=0.3))
    assert len(kept) > len({text_hash(sample) for sample in kept})


def test_a_sample_of_several_labels_counts_for_the_rarest() -> None:
    samples = [Labelled(f"{n}", ("common", "rare") if n % 10 == 0 else ("common",)) for n in range(200)]
    kept = held_out(samples, SplitRule(share=0.25), [LabelCount("common", 200), LabelCount("rare", 20)])
    assert labels_in(kept)["rare"] == 5
    assert labels_in(kept)["common"] == 50


def test_no_more_are_held_out_than_wanted() -> None:
    samples = [PlainText(f"{n}") for n in range(5000)]
    assert len(held_out(samples, SplitRule(share=0.5, most=100))) == 100


def test_every_label_keeps_something_to_learn_from() -> None:
    kept = held_out(labelled(a=100, b=1, c=2), SplitRule(share=0.9))
    assert labels_in(kept) == {"a": 90, "c": 1}


@pytest.mark.parametrize("rule", [SplitRule(share=0), SplitRule(most=0)])
def test_nothing_is_held_out_where_nobody_wants_it(rule: SplitRule) -> None:
    assert held_out(labelled(a=50), rule) == []


def test_of_a_few_samples_none_is_held_out_and_of_some_one_at_least() -> None:
    assert held_out([PlainText(f"{n}") for n in range(9)], SplitRule()) == []
    assert len(held_out([PlainText(f"{n}") for n in range(10)], SplitRule(share=0.01))) == 1
    assert len(held_out(labelled(**{f"l{n}": 2 for n in range(10)}), SplitRule(share=0.1))) == 1
    assert held_out([PlainText("same")] * 50, SplitRule()) == []
    assert held_out([], SplitRule()) == []
