"""Which format a file has, and what is no dataset at all."""

import gzip
import io
import zipfile

import pytest

from fakes.dataset_files import inspect_text, only_error
from puna.domain.datasets import DatasetFormat, FindingCode
from puna.finetune.datasets.detection import detect_format

CSV = b"text,label\na,b\n"
JSONL = b'{"text": "a"}\n'


def zip_with(*names: str, content: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("head", "name", "found"),
    [
        (CSV, "data.csv", DatasetFormat.CSV),
        (CSV, "", DatasetFormat.CSV),
        (CSV, "C:\\data\\Training.CSV", DatasetFormat.CSV),
        (b'\xef\xbb\xbf\r\n"Labels" , text\r\n', "upload", DatasetFormat.CSV),
        (b"anything\n", "data.csv", DatasetFormat.CSV),
        (JSONL, "data.jsonl", DatasetFormat.JSONL),
        (JSONL, "data.json", DatasetFormat.JSONL),
        (JSONL, "", DatasetFormat.JSONL),
        (b'{"broken\n', "data.ndjson", DatasetFormat.JSONL),
        (b"Once upon a time, label\n", "story.txt", DatasetFormat.TEXT),
        (b"# Head\n", "notes.md", DatasetFormat.TEXT),
        (b"GGUF is a file format.\n", "notes.txt", DatasetFormat.TEXT),
    ],
)
def test_content_and_name_tell_the_format(head: bytes, name: str, found: DatasetFormat) -> None:
    assert detect_format(head, name) is found


def test_a_stated_format_wins_over_the_name() -> None:
    assert detect_format(CSV, "data.txt", DatasetFormat.TEXT) is DatasetFormat.TEXT
    assert detect_format(CSV, "data", DatasetFormat.CSV) is DatasetFormat.CSV


@pytest.mark.parametrize(
    ("content", "name", "code", "said"),
    [
        (JSONL, "data.csv", FindingCode.FORMAT_MISMATCH, "holds JSON objects; name it .jsonl"),
        (CSV, "data.txt", FindingCode.FORMAT_MISMATCH, "holds a CSV with a header; name it .csv"),
        (JSONL, "data.txt", FindingCode.FORMAT_MISMATCH, "holds JSON objects; name it .jsonl"),
        (CSV, "data.jsonl", FindingCode.FORMAT_MISMATCH, "the first line is something else"),
        (b'[{"text": "a"}]', "data.json", FindingCode.FORMAT_MISMATCH, "the file begins with an array"),
        (b'{\n  "text": "a"\n}\n', "data.json", FindingCode.FORMAT_MISMATCH, "only the beginning of one"),
        (b"hello\n", "", FindingCode.UNKNOWN_FORMAT, "name the file .csv, .jsonl or .txt"),
        (b"hello\tworld\n", "data.tsv", FindingCode.UNKNOWN_FORMAT, "or state its format"),
        (b"", "data.csv", FindingCode.EMPTY_FILE, "holds nothing"),
    ],
)
def test_what_is_not_clear_is_an_error(content: bytes, name: str, code: FindingCode, said: str) -> None:
    error = only_error(inspect_text(content, name))
    assert error.code is code
    assert said in error.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zip_with("[Content_Types].xml", "xl/workbook.xml"), "an .xlsx workbook; save it as `CSV UTF-8`"),
        (zip_with("mimetype", content="application/vnd.oasis.opendocument.spreadsheet"), "an .ods workbook"),
        (zip_with("data.csv"), "a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "an .xls workbook; save it as `CSV UTF-8`"),
        ("text,label\na,b\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
        (gzip.compress(CSV), "compressed (gzip)"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"GGUF\x03\x00\x00\x00", "a GGUF model"),
    ],
)
@pytest.mark.parametrize("name", ["data.csv", "", "data.txt"])
def test_files_that_are_no_text_are_known_by_their_first_bytes(content: bytes, said: str, name: str) -> None:
    for stated in (None, DatasetFormat.CSV):
        report = inspect_text(content, name, stated=stated, chunk_bytes=3)
        error = only_error(report)
        assert error.code is FindingCode.FOREIGN_FILE
        assert said in error.message
        assert (report.format, report.kind) == (None, None)


@pytest.mark.parametrize("name", ["data.xlsx", "Data.XLS", "data.ods"])
def test_a_text_that_is_named_as_a_workbook_is_refused(name: str) -> None:
    error = only_error(inspect_text(CSV, name))
    assert error.code is FindingCode.FOREIGN_FILE
    assert "with a name that ends in .csv" in error.message
