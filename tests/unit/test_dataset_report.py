"""What a report warns of, and the limits of a dataset."""

import pytest

from fakes.dataset_files import codes, finding, inspect_text, only_error
from puna.domain.datasets import MAX_LABELS, DatasetLimits, FindingCode, LabelCount
from puna.finetune.datasets import inspection
from puna.finetune.datasets.duplicates import Duplicates
from puna.finetune.datasets.inspection import inspect_dataset

HEAD = "text,label\n"


def csv_of(**counts: int) -> str:
    """Return a CSV with so many rows of each label."""
    rows = [f"{label} {number},{label}\n" for label, count in counts.items() for number in range(count)]
    return HEAD + "".join(rows)


def test_a_sound_dataset_has_no_warning() -> None:
    report = inspect_text(csv_of(positive=20, negative=15, neutral=10))
    assert (report.warnings, report.errors, report.dropped) == ((), (), ())
    assert report.labels == (
        LabelCount("positive", 20),
        LabelCount("negative", 15),
        LabelCount("neutral", 10),
    )
    assert (report.rows, report.samples, report.is_usable) == (45, 45, True)


def test_labels_that_differ_only_by_case_or_blanks() -> None:
    content = csv_of(positive=10, negative=10) + "x,Positive\ny,NEGATIVE\nz,Positive\n"
    report = inspect_text(content)
    warning = finding(report, FindingCode.LABELS_DIFFER_BY_CASE)
    assert (warning.count, warning.rows) == (2, (22, 23, 24))
    assert warning.message == (
        "Labels differ only by case or blanks: `negative` (10) and `NEGATIVE` (1), `positive` (10) and "
        "`Positive` (2); write each in one way."
    )
    assert report.is_usable
    spaced = inspect_text(csv_of(**{"very good": 10, "bad": 10}) + "x,very  good\n")
    assert finding(spaced, FindingCode.LABELS_DIFFER_BY_CASE).rows == (22,)
    accents = inspect_text(HEAD + "".join(f"{n},caf\u00e9\n" for n in range(20)) + "x,cafe\u0301\n")
    assert finding(accents, FindingCode.LABELS_DIFFER_BY_CASE).rows == (22,)


def test_the_same_row_again_and_the_same_text_with_other_labels() -> None:
    report = inspect_text(f"{csv_of(a=10, b=10)}a 1,a\na 2,b\n a 1 ,a\n")
    again = finding(report, FindingCode.DUPLICATE_ROWS)
    assert (again.count, again.rows) == (2, (22, 24))
    other = finding(report, FindingCode.CONTRADICTING_ROWS)
    assert (other.count, other.rows) == (1, (23,))
    assert report.samples == 23


def test_the_order_of_labels_makes_no_difference() -> None:
    report = inspect_text("text,labels\nx,a,b\nx,b,a\nx,a\n")
    assert finding(report, FindingCode.DUPLICATE_ROWS).rows == (3,)
    assert finding(report, FindingCode.CONTRADICTING_ROWS).rows == (4,)


def test_conversations_and_completions_are_compared_as_a_whole() -> None:
    content = '{"prompt": "p", "completion": "a"}\n{"prompt": "p", "completion": "b"}\n' * 2
    report = inspect_text(content, "a.jsonl")
    assert finding(report, FindingCode.DUPLICATE_ROWS).rows == (3, 4)
    assert FindingCode.CONTRADICTING_ROWS not in codes(report.warnings)


def test_duplicates_are_looked_for_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "Duplicates", lambda: Duplicates(20))
    report = inspect_text(csv_of(a=20, b=20) + "a 1,a\n")
    assert finding(report, FindingCode.DUPLICATES_UNCHECKED).rows[0] == 22
    assert finding(report, FindingCode.DUPLICATE_ROWS).rows == (42,)


def test_very_long_rows() -> None:
    report = inspect_text(csv_of(a=10, b=10) + "x" * 8001 + ",a\n")
    assert finding(report, FindingCode.LONG_ROWS).rows == (22,)
    assert report.longest_characters == 8002


def test_labels_of_which_one_is_far_more_frequent() -> None:
    report = inspect_text(csv_of(common=100, rare=10, other=11))
    warning = finding(report, FindingCode.IMBALANCED_LABELS)
    assert warning.count == 1
    assert warning.message == "`common` has 100 samples and `rare` 10: add samples of the rare labels."
    assert FindingCode.IMBALANCED_LABELS not in codes(inspect_text(csv_of(a=99, b=10)).warnings)


def test_labels_with_few_samples() -> None:
    report = inspect_text(csv_of(a=20, b=4, c=5, d=3))
    warning = finding(report, FindingCode.RARE_LABELS)
    assert (warning.count, warning.message) == (
        2,
        "Fewer than 5 samples of `b` (4), `d` (3): add some, or leave the label out.",
    )


def test_one_label_only() -> None:
    report = inspect_text(csv_of(a=30))
    assert codes(report.warnings) == {FindingCode.ONE_LABEL}
    assert report.is_usable


def test_too_few_rows() -> None:
    report = inspect_text(csv_of(a=10, b=9))
    assert finding(report, FindingCode.FEW_ROWS).count == 19
    assert "only one sample" in finding(inspect_text(csv_of(a=1)), FindingCode.FEW_ROWS).message


def test_labels_that_look_like_a_text() -> None:
    report = inspect_text(f"text,labels\nI love, {'really ' * 10}love it,food\n")
    warning = finding(report, FindingCode.LONG_LABELS)
    assert warning.rows == (2,)
    assert "put quotes around a text with commas" in warning.message


def test_labels_that_are_a_text() -> None:
    report = inspect_text(f"{HEAD}a,b\nc,{'x' * 257}\n")
    assert (only_error(report).code, only_error(report).rows) == (FindingCode.LABEL_TOO_LONG, (3,))
    assert report.labels == (LabelCount("b", 1),)


def test_characters_that_were_damaged_before() -> None:
    assert finding(inspect_text(f"{HEAD}caf\ufffd,a\n"), FindingCode.DAMAGED_CHARACTERS).rows == (2,)


def test_too_many_labels_are_an_error_that_takes_no_memory() -> None:
    report = inspect_text(csv_of(**{f"l{number}": 1 for number in range(MAX_LABELS + 5)}), chunk_bytes=5000)
    error = only_error(report)
    assert (error.code, error.count, error.rows[0]) == (FindingCode.TOO_MANY_LABELS, 5, MAX_LABELS + 2)
    assert len(report.labels) == MAX_LABELS


def test_the_number_of_rows_is_limited_and_empty_ones_do_not_count() -> None:
    content = csv_of(a=5) + "\n" * 50 + "x,y\n"
    assert inspect_text(content, limits=DatasetLimits(max_rows=6)).is_usable
    error = only_error(inspect_text(content, limits=DatasetLimits(max_rows=5)))
    assert (error.code, error.rows) == (FindingCode.TOO_MANY_ROWS, (57,))
    assert error.message == "There are more than 5 rows; divide the file, or raise the limit."


@pytest.mark.parametrize(
    ("name", "blank"), [("a.csv", "\n"), ("a.csv", "\r"), ("a.txt", "\n"), ("a.jsonl", "\r\n")]
)
def test_blank_lines_have_a_limit_too(name: str, blank: str) -> None:
    begin = {"a.csv": "text,label\na,b", "a.txt": "one\n\ntwo", "a.jsonl": '{"text": "a"}'}[name]
    limits = DatasetLimits(max_rows=10)
    content = begin.replace("\n", blank) + blank * 400
    assert not inspect_dataset([content.encode()], name=name, limits=limits).errors
    (error,) = inspect_dataset([content.encode(), blank.encode() * 200], name=name, limits=limits).errors
    assert error.code is FindingCode.TOO_MANY_ROWS
    assert "more than 500 lines" in error.message


def test_the_size_is_limited() -> None:
    content = csv_of(a=20, b=20)
    assert inspect_text(content, limits=DatasetLimits(max_bytes=len(content))).is_usable
    error = only_error(inspect_text(content, limits=DatasetLimits(max_bytes=len(content) - 1)))
    assert error.code is FindingCode.TOO_LARGE


def test_a_report_that_was_cut_short_says_nothing_of_frequencies() -> None:
    report = inspect_text(csv_of(a=30) + '"never closed')
    assert codes(report.errors) == {FindingCode.UNTERMINATED_QUOTE}
    assert report.warnings == ()
    assert report.samples == 30


def test_what_a_message_shows_of_a_file_is_short_and_printable() -> None:
    for content, name in (
        (f"{HEAD}a,\x1b[2J\n" + "b,x\n" * 20, "a.csv"),
        (f'{{"messages": [{{"role": "{"x" * 9000}", "content": "\x7f"}}]}}', "a.jsonl"),
        (f"\x1b[2J{'x' * 9000}\ntext,label\n", "a.csv"),
    ):
        report = inspect_text(content, name)
        messages = [each.message for each in (*report.errors, *report.warnings)]
        assert messages
        assert all(message.isprintable() and len(message) < 400 for message in messages)
