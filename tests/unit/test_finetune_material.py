"""What the trainer is sent of a dataset: which samples, how many questions, and always the same ones."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from puna.domain.datasets import (
    Completion,
    Dataset,
    DatasetFormat,
    DatasetReport,
    LabelCount,
    Labelled,
    PlainText,
    Sample,
    SampleKind,
    kind_of,
)
from puna.domain.training import Choice, TextPart, TextSample
from puna.engine.trainer_protocol import AddChoices, AddHeldOut, AddSamples, ToTrainer
from puna.finetune.material import MOST_HELD_OUT, MOST_OPTIONS, make_messages
from puna.finetune.rendering import Renderer, answer_of
from puna.prompting.chat_template import choose_formatter

RENDERER = Renderer(choose_formatter(None), "</s>")


def dataset_of(samples: Sequence[Sample]) -> Dataset:
    labels: dict[str, int] = {}
    for sample in samples:
        for label in sample.labels if isinstance(sample, Labelled) else ():
            labels[label] = labels.get(label, 0) + 1
    report = DatasetReport(
        format=DatasetFormat.JSONL,
        kind=kind_of(samples[0]),
        size_bytes=1,
        rows=len(samples),
        samples=len(samples),
        characters=1,
        longest_characters=1,
        labels=tuple(LabelCount(label, count) for label, count in labels.items()),
    )
    return Dataset(
        id="ds_1", name="", sha256="0", format=DatasetFormat.JSONL, size_bytes=1, added_at=1, report=report
    )


def send(samples: Sequence[Sample], *, seed: int = 1) -> list[ToTrainer]:
    def read() -> Iterator[Sample]:
        return iter(samples)

    return list(make_messages(read, dataset_of(samples), RENDERER, seed=seed))


def trained(messages: Sequence[ToTrainer]) -> list[TextSample]:
    return [_text(each) for said in messages if isinstance(said, AddSamples) for each in said.samples]


def held_out(messages: Sequence[ToTrainer]) -> list[TextSample]:
    return [_text(each) for said in messages if isinstance(said, AddHeldOut) for each in said.samples]


def asked(messages: Sequence[ToTrainer]) -> list[Choice]:
    return [each for said in messages if isinstance(said, AddChoices) for each in said.choices]


def _text(sample: object) -> TextSample:
    assert isinstance(sample, TextSample)
    return sample


def labelled(count: int, labels: int = 3) -> list[Sample]:
    return [Labelled(f"the text {i}", (f"label {i % labels}",)) for i in range(count)]


KINDS: dict[SampleKind, Callable[[int], Sample]] = {
    SampleKind.LABELLED: lambda i: Labelled(f"text {i}", (f"label {i % 2}",)),
    SampleKind.PLAIN_TEXT: lambda i: PlainText(f"text {i}"),
    SampleKind.COMPLETION: lambda i: Completion(f"text {i}", "done"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_sample_is_either_learnt_or_held_out(kind: SampleKind) -> None:
    messages = send([KINDS[kind](i) for i in range(500)])
    assert len(trained(messages)) + len(held_out(messages)) == 500
    assert 20 < len(held_out(messages)) < 80
    assert not set(map(str, trained(messages))) & set(map(str, held_out(messages)))
    assert bool(asked(messages)) is (kind is SampleKind.LABELLED)


def test_the_same_seed_sends_the_same() -> None:
    assert send(labelled(300)) == send(labelled(300))
    assert held_out(send(labelled(300))) != held_out(send(labelled(300), seed=2))


def test_a_large_dataset_is_measured_with_a_part_of_it() -> None:
    messages = send(labelled(20_000))
    assert len(held_out(messages)) <= MOST_HELD_OUT + 3
    assert max(len(said.samples) for said in messages if isinstance(said, AddSamples)) <= 200
    assert len(asked(messages)) == len(held_out(messages))


def test_many_labels_are_weighed_in_bounded_time() -> None:
    choices = asked(send(labelled(6000, labels=400)))
    assert {len(choice.options) for choice in choices} == {MOST_OPTIONS}
    assert 0 < len(choices) <= 30
    assert all(choice.right < MOST_OPTIONS for choice in choices)


def test_several_labels_are_one_answer() -> None:
    samples: list[Sample] = [Labelled(f"text {i}", ("a", "b") if i % 2 else ("a",)) for i in range(100)]
    choices = asked(send(samples))
    answers = {option.parts[-1] for choice in choices for option in map(_text, choice.options)}
    assert answers == {TextPart("a, b", is_answer=True), TextPart("a", is_answer=True)}


def test_one_label_is_no_question() -> None:
    assert not asked(send(labelled(100, labels=1)))


def test_labels_are_joined_as_serving_reads_them_and_in_one_order() -> None:
    assert answer_of(Labelled("text", ("red", "blue"))) == "blue, red"
    assert answer_of(Labelled("text", ("blue", "red"))) == "blue, red"


def test_long_samples_make_small_messages_and_no_questions() -> None:
    samples: list[Sample] = [Labelled("word " * 60_000 + str(i), (f"label {i % 3}",)) for i in range(60)]
    messages = send(samples)
    sent = [said for said in messages if isinstance(said, AddSamples)]
    assert sum(len(said.samples) for said in sent) + len(held_out(messages)) == 60
    assert max(len(said.samples) for said in sent) == 4
    assert not asked(messages)
