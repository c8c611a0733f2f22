"""CSV datasets, by Spin-Up's guide `How to Format Your CSV File for AI Model Training`."""

import csv
import io
from random import Random

import pytest

from fakes.dataset_files import codes, finding, inspect_text, only_error, samples_in
from puna.domain.datasets import FindingCode, LabelCount, Labelled, SampleKind
from puna.finetune.datasets.lines import MAX_ROW_BYTES

HEAD = "text,label\n"


def rows_of(content: str | bytes) -> list[tuple[str, tuple[str, ...]]]:
    samples = samples_in(content)
    assert all(isinstance(sample, Labelled) for sample in samples)
    return [(sample.text, sample.labels) for sample in samples if isinstance(sample, Labelled)]


def test_the_guides_example_of_a_classification() -> None:
    content = (
        "text,label\n"
        "I love this product!,positive\n"
        "This is the worst purchase I\u2019ve ever made.,negative\n"
        '"The quality is okay, not great.",neutral\n'
    )
    assert rows_of(content) == [
        ("I love this product!", ("positive",)),
        ("This is the worst purchase I\u2019ve ever made.", ("negative",)),
        ("The quality is okay, not great.", ("neutral",)),
    ]
    report = inspect_text(content)
    assert report.is_usable
    assert (report.kind, report.rows, report.samples, report.is_multi_label) == (
        SampleKind.LABELLED,
        3,
        3,
        False,
    )
    assert set(report.labels) == {LabelCount(label, 1) for label in ("positive", "negative", "neutral")}


def test_the_guides_example_of_a_single_label_column() -> None:
    content = "text,label\nThis movie was great!,positive\nI didn\u2019t like the plot.,negative\nIt was okay,neutral\n"
    assert [labels for _, labels in rows_of(content)] == [("positive",), ("negative",), ("neutral",)]


def test_the_guides_example_of_several_labels_has_more_fields_than_the_header() -> None:
    content = (
        "text,labels\n"
        "This article talks about space and technology,science,technology\n"
        "I love cooking Italian food,food,italy\n"
    )
    assert rows_of(content) == [
        ("This article talks about space and technology", ("science", "technology")),
        ("I love cooking Italian food", ("food", "italy")),
    ]
    report = inspect_text(content)
    assert report.is_usable
    assert report.is_multi_label


def test_the_guides_example_of_optional_columns_ends_before_the_last_of_them() -> None:
    content = "text,label,source,language\nI\u2019m happy today,positive,en\nI'm sad,negative,web,en\n"
    assert rows_of(content) == [("I\u2019m happy today", ("positive",)), ("I'm sad", ("negative",))]
    report = inspect_text(content)
    assert report.is_usable
    assert report.ignored_columns == ("source", "language")
    assert finding(report, FindingCode.MISSING_FIELDS).rows == (2,)


def test_the_guides_example_of_a_quoted_text() -> None:
    assert rows_of('text,label\n"I love, really love, pizza",food\n') == [
        ("I love, really love, pizza", ("food",))
    ]


def test_labels_may_be_divided_by_commas_within_quotes_too() -> None:
    content = 'text,labels\nabout both,"science, technology"\nabout more,"a,b",c\nabout one,science\n'
    assert [labels for _, labels in rows_of(content)] == [
        ("science", "technology"),
        ("a", "b", "c"),
        ("science",),
    ]


def test_quoted_labels_may_stand_before_other_columns_and_surplus_ones_may_not() -> None:
    good = 'labels,text,id\n"a,b",something,7\n'
    assert rows_of(good) == [("something", ("a", "b"))]
    error = only_error(inspect_text("labels,text,id\na,b,something,7\n"))
    assert (error.code, error.rows) == (FindingCode.WRONG_FIELD_COUNT, (2,))


def test_a_comma_in_a_text_without_quotes_is_an_error_where_there_is_one_label() -> None:
    report = inspect_text(f"{HEAD}good,a\nI love, really love, pizza,food\ngood too,b\nhm, no,a\n")
    error = only_error(report)
    assert (error.code, error.count, error.rows) == (FindingCode.WRONG_FIELD_COUNT, 2, (3, 5))
    assert "first: 4 fields, where the header has 2; put quotes around" in error.message


def test_a_comma_within_one_label_is_told() -> None:
    content = f'{HEAD}a car,"toys, games"\n'
    assert rows_of(content) == [("a car", ("toys, games",))]
    assert finding(inspect_text(content), FindingCode.LABELS_WITH_COMMAS).rows == (2,)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_any_line_end_will_do_with_a_byte_order_mark_or_without(end: str, mark: str, last: bool) -> None:
    content = mark + end.join(["text,label", 'one,"a"', '"two', 'lines",b']) + (end if last else "")
    assert rows_of(content) == [("one", ("a",)), ("two\nlines", ("b",))]


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\u000b", "\u000c", "\u001c"])
def test_only_line_ends_end_a_row(separator: str) -> None:
    assert rows_of(f"{HEAD}one{separator}two,a\n") == [(f"one{separator}two", ("a",))]


def test_quotes_are_read_as_people_and_programs_write_them() -> None:
    content = f'{HEAD}"She said ""no"".",a\n"" , "b"\n   "blanks around"  ,  "c"\t\na 5" screen,d\n"","d"\n"x",""""\n'
    assert rows_of(content) == [
        ('She said "no".', ("a",)),
        ("blanks around", ("c",)),
        ('a 5" screen', ("d",)),
        ("x", ('"',)),
    ]
    assert finding(inspect_text(content), FindingCode.NO_TEXT).rows == (3, 6)


def test_the_header_may_have_any_case_order_and_nameless_columns_at_its_end() -> None:
    assert rows_of('\n,,\n"Label", TEXT ,,\npositive,good,,\n') == [("good", ("positive",))]
    assert rows_of("sep=,\r\ntext,label\r\ngood,positive\r\n") == [("good", ("positive",))]


def test_empty_rows_are_dropped_and_told() -> None:
    report = inspect_text(f'{HEAD}\na,x\n,\n   \n"",""\nb,y\n\n')
    assert report.is_usable
    assert (report.rows, report.samples) == (7, 2)
    dropped = finding(report, FindingCode.EMPTY_ROW)
    assert (dropped.count, dropped.rows) == (5, (2, 4, 5, 6, 8))


def test_a_label_without_a_text_is_dropped() -> None:
    report = inspect_text(f"{HEAD}a,x\n,positive\nb,y\n")
    assert report.is_usable
    assert finding(report, FindingCode.NO_TEXT).rows == (3,)


@pytest.mark.parametrize("row", ["a text", "a text,", 'a text," "', "a text,,,"])
def test_a_text_without_a_label_is_an_error_with_its_row(row: str) -> None:
    for column in ("label", "labels"):
        error = only_error(inspect_text(f"text,{column}\nfine,x\n{row}\n"))
        assert (error.code, error.rows) == (FindingCode.MISSING_LABEL, (3,))
        assert error.message == (
            "No label in row 3: a text without a label; give each text a label, or remove the row."
        )


def test_of_many_rows_the_first_are_named_and_all_counted() -> None:
    error = only_error(inspect_text(HEAD + "text,\n" * 500))
    assert (error.count, error.rows) == (500, tuple(range(2, 12)))
    assert error.message.startswith(
        "No label in 500 rows (2, 3, 4, 5, 6, ...), first: a text without a label;"
    )


def test_row_numbers_are_those_of_a_spreadsheet() -> None:
    report = inspect_text(f'{HEAD}"three\nlines\nlong",a\n\nno label,\n')
    assert finding(report, FindingCode.MISSING_LABEL).rows == (4,)


def test_a_quote_without_an_end_names_row_and_line() -> None:
    error = only_error(inspect_text(f'{HEAD}"two\nlines",a\n"never closed,b\nmore,c\n'))
    assert (error.code, error.rows, error.line) == (FindingCode.UNTERMINATED_QUOTE, (3,), 4)
    assert "Row 3 opens a quote in line 4 that is never closed" in error.message


def test_a_quote_without_an_end_does_not_swallow_a_large_file() -> None:
    content = f'{HEAD}"open,a\n' + "more,b\n" * (MAX_ROW_BYTES // 6)
    report = inspect_text(content, chunk_bytes=65536)
    error = only_error(report)
    assert (error.code, error.rows) == (FindingCode.UNTERMINATED_QUOTE, (2,))
    assert "is not closed within 1 MB" in error.message


def test_text_behind_a_closing_quote_is_an_error_and_reading_goes_on() -> None:
    report = inspect_text(f'{HEAD}"Great" product,a\n"open,a\nb,"c"\nd,\n')
    error = finding(report, FindingCode.BAD_QUOTES)
    assert error.rows == (2, 3)
    assert finding(report, FindingCode.MISSING_LABEL).rows == (4,)


def test_the_same_label_twice_in_a_row_counts_once() -> None:
    content = "text,labels\nx,a,b,a\n"
    assert rows_of(content) == [("x", ("a", "b"))]
    report = inspect_text(content)
    assert finding(report, FindingCode.REPEATED_LABELS).rows == (2,)
    assert report.labels == (LabelCount("a", 1), LabelCount("b", 1))


@pytest.mark.parametrize(
    ("header", "code", "said"),
    [
        ("good,positive\nbad,negative", FindingCode.NO_HEADER, "is `good,positive`; add a header"),
        (
            "text,category\na,b",
            FindingCode.MISSING_COLUMN,
            "no column label, or labels: it is `text,category`",
        ),
        ("sentence,label\na,b", FindingCode.MISSING_COLUMN, "no column text"),
        ("text\na", FindingCode.MISSING_COLUMN, "no column label"),
        ("text;label\na;b", FindingCode.MISSING_COLUMN, "separated by semicolons"),
        ('"text"\t"labels"\na\tb', FindingCode.MISSING_COLUMN, "separated by tabs"),
        ("text,label,labels\na,b,c", FindingCode.AMBIGUOUS_COLUMNS, "names label or labels more than once"),
        ("text,Text,label\na,b,c", FindingCode.AMBIGUOUS_COLUMNS, "names text more than once"),
        ('"text"x,label\na,b', FindingCode.NO_HEADER, "quotes of the header are wrong"),
    ],
)
def test_a_header_that_does_not_say_what_is_what(header: str, code: FindingCode, said: str) -> None:
    error = only_error(inspect_text(header))
    assert (error.code, error.rows) == (code, (1,))
    assert said in error.message


def test_a_header_alone_is_no_dataset() -> None:
    assert only_error(inspect_text(HEAD)).code is FindingCode.NO_SAMPLES
    assert only_error(inspect_text("")).code is FindingCode.EMPTY_FILE
    assert only_error(inspect_text("\n\n ,\n")).code is FindingCode.EMPTY_FILE


def test_a_byte_that_is_no_utf8_is_named_with_its_place_and_line() -> None:
    content = "\ufefftext,label\nfine é,a\n".encode() + b"caf\xe9,b\n"
    error = only_error(inspect_text(content))
    place = content.index(b"\xe9,b")
    assert (error.code, error.byte_offset, error.line) == (FindingCode.NOT_UTF8, place, 3)
    assert f"byte {place} (line 3) is 0xE9" in error.message
    assert only_error(inspect_text(HEAD.encode() + b"cut \xe2\x82")).byte_offset == len(HEAD) + 4


def test_a_zero_byte_is_no_text() -> None:
    error = only_error(inspect_text(f"{HEAD}a\0b,c\n"))
    assert (error.code, error.byte_offset, error.line) == (FindingCode.NOT_TEXT, 12, 2)


def test_all_errors_are_found_in_one_go() -> None:
    report = inspect_text(f'{HEAD}a,\nb,c,d\n"e"f,g\nh,i\n')
    assert codes(report.errors) == {
        FindingCode.MISSING_LABEL,
        FindingCode.WRONG_FIELD_COUNT,
        FindingCode.BAD_QUOTES,
    }
    assert report.samples == 1


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 1000])
def test_how_a_file_comes_in_pieces_does_not_matter(chunk_bytes: int) -> None:
    content = '\ufefftext,labels\r\n"é\r\n""q""",a,"b,c"\r\r\nüü,d\r'
    report = inspect_text(content, chunk_bytes=chunk_bytes)
    assert report == inspect_text(content)
    assert (report.samples, report.rows, report.size_bytes) == (2, 3, len(content.encode()))


def test_whatever_a_program_writes_is_read_back() -> None:
    rng = Random(7)
    alphabet = ["a", "é", " x", "x ", ",", '"', '""', "\n", "'", ";", "\u2028", "😀", "\t."]
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        rows = [[_draw(rng, alphabet), _draw(rng, alphabet)] for _ in range(500)]
        stream = io.StringIO(newline="")
        csv.writer(stream, quoting=quoting).writerows([["text", "label"], *rows])
        assert rows_of(stream.getvalue()) == [(text.strip(), (label.strip(),)) for text, label in rows]


def _draw(rng: Random, alphabet: list[str]) -> str:
    return "b" + "".join(rng.choices(alphabet, k=rng.randrange(8)))


def test_whatever_comes_in_a_report_comes_out() -> None:
    rng = Random(11)
    pieces = [b"text", b"label", b"labels", b",", b'"', b"\n", b"\r", b"\xff", b"\xc3\xa9", b"{", b"}", b"\0"]
    pieces += [
        b'"text":',
        b'"messages":[',
        b"null",
        b"\xef\xbb\xbf",
        b"]",
        b'{"role":"assistant","content":"a"}',
    ]
    for _ in range(3000):
        head = rng.choice([b"text,label\n", b"labels,x,text\n", b'{"text": "', b""])
        content = head + b"".join(rng.choices(pieces, k=rng.randrange(30)))
        for name in ("a.csv", "a.jsonl", "a.txt"):
            report = inspect_text(content, name)
            assert report.is_usable == bool(report.samples and not report.errors)
