"""Files that are no text, recognised by their first bytes whatever their names say."""

from puna.domain.datasets import FindingCode
from puna.finetune.datasets.failures import UnreadableDatasetError

_SAVE_AS_CSV = "save it as `CSV UTF-8` there and add that file"
_ZIP = b"PK\x03\x04"
_SIGNATURES = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an .xls workbook; {_SAVE_AS_CSV}"),
    (b"\x09\x08\x10\x00\x00\x06\x05\x00", f"an .xls workbook; {_SAVE_AS_CSV}"),
    (b"\xff\xfe", "UTF-16; save it as UTF-8, which a spreadsheet calls `CSV UTF-8`"),
    (b"\xfe\xff", "UTF-16; save it as UTF-8, which a spreadsheet calls `CSV UTF-8`"),
    (b"\x1f\x8b", "compressed (gzip); unpack it and add the file inside"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd); unpack it and add the file inside"),
    (b"BZh91AY&SY", "compressed (bzip2); unpack it and add the file inside"),
    (b"\xfd7zXZ\x00", "compressed (xz); unpack it and add the file inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and add the file inside"),
    (b"PAR1\x15", "a Parquet file; write it as JSONL or CSV and add that"),
    (b"ARROW1\x00", "an Arrow file; write it as JSONL or CSV and add that"),
    (b"SQLite format 3\x00", "an SQLite database; write its rows as JSONL or CSV and add that"),
    (b"%PDF-", "a PDF; save its text as a .txt file and add that"),
    (b"GGUF\x02\x00", "a GGUF model and no dataset"),
    (b"GGUF\x03\x00", "a GGUF model and no dataset"),
)
_SPREADSHEET_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")


def refuse_foreign(head: bytes, name: str) -> None:
    """Raise `UnreadableDatasetError` for a workbook, an archive and the like; `head` is how the file begins."""
    what = _what_is(head)
    if what is None and name.lower().endswith(_SPREADSHEET_SUFFIXES):
        what = "named as a workbook; save it as `CSV UTF-8` with a name that ends in .csv and add that file"
    if what is not None:
        raise UnreadableDatasetError(FindingCode.FOREIGN_FILE, f"The file is {what}.", byte_offset=0)


def _what_is(head: bytes) -> str | None:
    if head.startswith(_ZIP):
        return _what_is_zip(head)
    return next((what for signature, what in _SIGNATURES if head.startswith(signature)), None)


def _what_is_zip(head: bytes) -> str:
    if b"opendocument.spreadsheet" in head:
        return f"an .ods workbook; {_SAVE_AS_CSV}"
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return f"an .xlsx workbook; {_SAVE_AS_CSV}"
    return "a zip archive; unpack it and add the file inside"
