"""Writes two CSV files of labelled sentences, to fine-tune the demo model on and to test what it has learnt.

    python3 scripts/make_labelled_sentences.py sentences

makes sentences/training.csv and sentences/test.csv. The sentences are reviews as the demo model knows them;
the label is their sentiment as a colour (green, red or blue), of which it was never told. No sentence pattern
of the test stands in the training file with the same subject. The same arguments give the same files.
"""

import argparse
import csv
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from demo_model.text.sentiment import ADJECTIVES, PATTERNS, SENTENCES, SUBJECTS

SENTIMENTS = {"green": "positive", "red": "negative", "blue": "neutral"}
"""What each colour stands for. The names are one token each for the demo model, and stand in no sentence."""
TEST_ONE_IN = 5
ATTEMPTS = 2000
"""Sentences drawn for one that is new, before it is said that there are no more."""

_SAME_AS_OTHERS = frozenset(
    pattern.replace("{adjective}", adjective)
    for pattern in PATTERNS
    for adjectives in ADJECTIVES.values()
    for adjective in adjectives
    if "{adjective}" in pattern
)
"""Patterns with an adjective in its place: a sentence that reads the same would be made twice."""


class Labelled(NamedTuple):
    """A row of the CSV."""

    text: str
    label: str


def main() -> None:
    """Write the files that the command line describes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to write; it is made if it is not there")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--training", type=int, default=600, help="rows to train on (default: %(default)s)")
    parser.add_argument("--test", type=int, default=150, help="rows to test with (default: %(default)s)")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    write_csv(given.folder / "training.csv", draw_rows(given.seed, given.training, is_test=False))
    write_csv(given.folder / "test.csv", draw_rows(given.seed, given.test, is_test=True))


def draw_rows(seed: int, count: int, *, is_test: bool) -> list[Labelled]:
    """Return so many different rows of one side, as many of each label, in a random order."""
    rng = Random(f"{seed} {'test' if is_test else 'training'}")  # noqa: S311  (text, no secret)
    labels = tuple(SENTIMENTS)
    drawn: set[Labelled] = set()
    rows = [_draw_new(rng, labels[number % len(labels)], drawn, is_test=is_test) for number in range(count)]
    rng.shuffle(rows)
    return rows


def write_csv(path: Path, rows: list[Labelled]) -> None:
    """Write a header and the rows, with quotes where a sentence has commas."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(Labelled._fields)
        writer.writerows(rows)
    print(f"{path}: {len(rows)} rows")


def _draw_new(rng: Random, label: str, drawn: set[Labelled], *, is_test: bool) -> Labelled:
    for row in islice(_draw_sentences(rng, label, is_test=is_test), ATTEMPTS):
        if row not in drawn:
            drawn.add(row)
            return row
    raise SystemExit(f"there are not so many different sentences; ask for fewer than {len(drawn)}")


def _draw_sentences(rng: Random, label: str, *, is_test: bool) -> Iterator[Labelled]:
    sentiment = SENTIMENTS[label]
    while True:
        subject, other = rng.sample(SUBJECTS, 2)
        adjective = rng.choice(ADJECTIVES[sentiment])
        pattern = rng.choice(PATTERNS).replace("{sentence}", rng.choice(SENTENCES[sentiment]))
        if _is_usable(pattern) and _is_for_test(pattern, subject) is is_test:
            yield Labelled(pattern.format(subject=subject, other=other, adjective=adjective), label)


def _is_usable(pattern: str) -> bool:
    """Whether a pattern makes other sentences than any other one, for each subject another, without a label."""
    return (
        "{subject}" in pattern
        and pattern not in _SAME_AS_OTHERS
        and not any(label in pattern.split() for label in SENTIMENTS)
    )


def _is_for_test(pattern: str, subject: str) -> bool:
    """Whether a pattern with a subject is kept for the test; it depends on nothing else, the seed neither."""
    digest = hashlib.sha256(f"{pattern} {subject}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % TEST_ONE_IN == 0


if __name__ == "__main__":
    main()
