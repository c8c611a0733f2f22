"""What the trainer is sent of a dataset: samples to learn from, samples held out, and questions about labels."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

from puna.domain.datasets import Dataset, Labelled, Sample
from puna.domain.training import Choice
from puna.engine.trainer_protocol import AddChoices, AddHeldOut, AddSamples, ToTrainer
from puna.finetune.base_tokens import read_token_names
from puna.finetune.datasets.content import texts_of
from puna.finetune.datasets.splitting import Part, SplitRule, plan_split
from puna.finetune.rendering import Renderer, answer_of

MOST_HELD_OUT = 200
"""Texts that are kept for measuring: more take time and tell little."""
MOST_OPTIONS = 50
"""Answers among which a model chooses, the most frequent first."""
_MOST_COMPARED = 1500
"""Answers weighed in one measurement, of all questions together."""
_BATCH, _BATCH_CHARACTERS = 200, 1_000_000
"""Samples in one message, and about so much text: a file of 50 MB is never in memory as a whole."""
_LONGEST_QUESTION = 20_000
"""Characters of a text that answers are weighed for: it is written out with each of them, and longer ones hardly fit
a row."""

ReadSamples = Callable[[], Iterator[Sample]]


def open_renderer(base: Path, chat_template: str | None) -> Renderer:
    """Return the renderer for a base model. Blocks; raises `PunaError` where its template cannot be used."""
    bos, eos = read_token_names(base)
    # Imported here: templates bring Jinja, which the daemon needs for nothing else when it starts.
    from puna.prompting.chat_template import choose_formatter

    return Renderer(choose_formatter(chat_template, bos, eos), eos)


async def send_material(
    read: ReadSamples, dataset: Dataset, renderer: Renderer, *, seed: int
) -> AsyncIterator[Sequence[ToTrainer]]:
    """Yield the messages, one thread at a time making them. Raises what reading and rendering raise."""
    messages = make_messages(read, dataset, renderer, seed=seed)
    while (message := await asyncio.to_thread(next, messages, None)) is not None:
        yield [message]


def make_messages(
    read: ReadSamples, dataset: Dataset, renderer: Renderer, *, seed: int
) -> Iterator[ToTrainer]:
    """Yield the messages: the same for the same dataset, base and seed, so that a training can be gone on with."""
    split = plan_split(read(), SplitRule(most=MOST_HELD_OUT, seed=seed), dataset.report.labels)
    for batch in _batches(split.select(read(), Part.TRAINING)):
        yield AddSamples(tuple(map(renderer.render, batch)))
    held_out = list(islice(split.select(read(), Part.HELD_OUT), 2 * MOST_HELD_OUT))
    for batch in _batches(held_out):
        yield AddHeldOut(tuple(map(renderer.render, batch)))
    if dataset.report.labels:
        yield from _ask_for_labels(read, held_out, renderer, seed=seed)


def _ask_for_labels(
    read: ReadSamples, held_out: Sequence[Sample], renderer: Renderer, *, seed: int
) -> Iterator[ToTrainer]:
    answers = Counter(answer_of(sample) for sample in read() if isinstance(sample, Labelled))
    options = tuple(answer for answer, _ in answers.most_common(MOST_OPTIONS))
    if len(options) < 2:
        return
    samples = [s for s in held_out if isinstance(s, Labelled) and _can_be_asked(s, options)]
    most = max(_MOST_COMPARED // len(options), 1)
    if len(samples) > most:
        samples = Random(f"choices/{seed}").sample(samples, most)  # noqa: S311 - a choice, no secret
    for sample in samples:
        yield AddChoices((_to_choice(sample, options, renderer),))


def _can_be_asked(sample: Labelled, options: Sequence[str]) -> bool:
    return len(sample.text) <= _LONGEST_QUESTION and answer_of(sample) in options


def _to_choice(sample: Labelled, options: Sequence[str], renderer: Renderer) -> Choice:
    rendered = tuple(renderer.render_turn(sample.text, option) for option in options)
    return Choice(rendered, options.index(answer_of(sample)))


def _batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    characters = 0
    for sample in samples:
        batch.append(sample)
        characters += sum(map(len, texts_of(sample)))
        if len(batch) == _BATCH or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
