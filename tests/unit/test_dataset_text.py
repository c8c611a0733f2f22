"""Plain text as a dataset: a sample a line, or samples between blank lines."""

from fakes.dataset_files import finding, inspect_text, only_error, samples_in
from puna.domain.datasets import DatasetFormat, FindingCode, PlainText, SampleKind
from puna.finetune.datasets.lines import MAX_ROW_BYTES


def texts_of(content: str) -> list[str]:
    samples = samples_in(content, DatasetFormat.TEXT)
    return [sample.text for sample in samples if isinstance(sample, PlainText)]


def test_without_blank_lines_each_line_is_a_sample() -> None:
    assert texts_of("\ufeffOnce upon a time.\r\n  A poem,\rand \u2028 more\n") == [
        "Once upon a time.",
        "  A poem,",
        "and \u2028 more",
    ]
    report = inspect_text("a\nb\n", "a.txt")
    assert (report.kind, report.format, report.samples) == (SampleKind.PLAIN_TEXT, DatasetFormat.TEXT, 2)


def test_with_blank_lines_the_blocks_between_them_are_samples() -> None:
    content = "\n\nA tale\nof two lines.\n\n \t\nAnother\n\n"
    assert texts_of(content) == ["A tale\nof two lines.", "Another"]
    report = inspect_text("one\n\n\nno label\n" + "x" * 9000, "a.txt")
    assert finding(report, FindingCode.LONG_ROWS).rows == (4,)


def test_blank_lines_at_the_ends_divide_nothing() -> None:
    assert texts_of("\n\na\nb\n\n\n") == ["a", "b"]
    assert finding(inspect_text("\n\na\nb\n\n", "a.txt"), FindingCode.EMPTY_ROW).rows == (1, 2, 5)


def test_a_sample_longer_than_any_context_names_its_line() -> None:
    line = "word " * 1000 + "\n"
    book = "a\n\n" + line * (MAX_ROW_BYTES // 5000 + 1)
    error = only_error(inspect_text(book, "a.txt", chunk_bytes=65536))
    assert (error.code, error.line) == (FindingCode.ROW_TOO_LONG, 3)
    error = only_error(inspect_text("a\n" + "x" * (MAX_ROW_BYTES + 1), "a.txt", chunk_bytes=65536))
    assert (error.code, error.rows) == (FindingCode.ROW_TOO_LONG, (2,))


def test_a_file_of_blanks_holds_nothing() -> None:
    assert only_error(inspect_text(" \n\n", "a.txt")).code is FindingCode.EMPTY_FILE
