"""The generated sentences of scripts/make_labelled_sentences.py: good to learn from and to test with."""

import re
from collections import Counter
from pathlib import Path

import pytest

from demo_model.text.sentiment import SUBJECTS
from fakes.dataset_files import inspect_text
from make_labelled_sentences import SENTIMENTS, Labelled, draw_rows, write_csv
from puna.domain.datasets import LabelCount

TRAINING = draw_rows(1, 600, is_test=False)
TEST = draw_rows(1, 150, is_test=True)


def test_the_files_are_sound_datasets(tmp_path: Path) -> None:
    for rows, count in ((TRAINING, 200), (TEST, 50)):
        path = tmp_path / "rows.csv"
        write_csv(path, rows)
        report = inspect_text(path.read_bytes(), path.name)
        assert (report.errors, report.warnings, report.dropped) == ((), (), ())
        assert set(report.labels) == {LabelCount(label, count) for label in SENTIMENTS}


def test_training_and_test_share_no_pattern_with_the_same_subject() -> None:
    assert not {row.text for row in TRAINING} & {row.text for row in TEST}
    other_seed = draw_rows(2, 600, is_test=False)
    assert not {row.text for row in other_seed} & {row.text for row in TEST}


def test_the_seed_decides() -> None:
    assert draw_rows(1, 60, is_test=False) != draw_rows(2, 60, is_test=False)
    assert draw_rows(1, 150, is_test=True) == TEST


def test_every_subject_is_there_to_learn_from_and_no_label_stands_in_a_text() -> None:
    assert words_of(TRAINING).keys() >= {word for subject in SUBJECTS for word in subject.split()}
    for rows in (TRAINING, TEST):
        assert not words_of(rows).keys() & SENTIMENTS.keys()


def test_more_sentences_than_there_are_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("make_labelled_sentences.PATTERNS", ("The {subject} is {adjective}.",))
    with pytest.raises(SystemExit, match="there are not so many different sentences"):
        draw_rows(1, 3000, is_test=True)


def words_of(rows: list[Labelled]) -> Counter[str]:
    return Counter(word for row in rows for word in re.findall(r"[a-z-]+", row.text.lower()))
