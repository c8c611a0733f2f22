"""Datasets as text in a test, and what is made of them."""

from collections.abc import Iterator

from puna.domain.datasets import DatasetFormat, DatasetLimits, DatasetReport, Finding, FindingCode, Sample
from puna.finetune.datasets.inspection import inspect_dataset
from puna.finetune.datasets.opening import read_samples


def inspect_text(
    content: str | bytes,
    name: str = "a.csv",
    *,
    limits: DatasetLimits | None = None,
    stated: DatasetFormat | None = None,
    chunk_bytes: int = 7,
) -> DatasetReport:
    """Return the report about a file, which comes in small pieces."""
    return inspect_dataset(in_chunks(content, chunk_bytes), name=name, limits=limits, stated=stated)


def samples_in(content: str | bytes, found: DatasetFormat = DatasetFormat.CSV) -> list[Sample]:
    """Return the samples of a file."""
    return list(read_samples(in_chunks(content, 7), found))


def in_chunks(content: str | bytes, size: int) -> Iterator[bytes]:
    """Yield a content in pieces."""
    raw = content.encode() if isinstance(content, str) else content
    return (raw[start : start + size] for start in range(0, len(raw), size))


def only_error(report: DatasetReport) -> Finding:
    """Return the one error of a report."""
    assert len(report.errors) == 1, report.errors
    assert not report.is_usable
    return report.errors[0]


def finding(report: DatasetReport, code: FindingCode) -> Finding:
    """Return what a report says of one thing."""
    found = [each for each in (*report.errors, *report.warnings, *report.dropped) if each.code is code]
    assert len(found) == 1, (code, report)
    return found[0]


def codes(findings: tuple[Finding, ...]) -> set[FindingCode]:
    """Return the codes of findings."""
    return {each.code for each in findings}
