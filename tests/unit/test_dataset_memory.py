"""Reading takes the same memory for a large file as for a small one."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from fakes import large_datasets
from fakes.large_datasets import ROWS, Measured
from puna.domain.datasets import DatasetReport, SampleKind

SIZE_BYTES = 50 * 1024 * 1024
ROOM_BYTES = 40 * 1024 * 1024


@pytest.fixture(scope="module")
def measured() -> Measured:
    program = Path(large_datasets.__file__)
    child = subprocess.run([sys.executable, str(program)], check=True, capture_output=True, timeout=100)
    return msgspec.json.decode(child.stdout, type=Measured)


def test_files_of_fifty_megabytes_are_checked_and_divided_in_little_memory(measured: Measured) -> None:
    assert measured.grown_bytes < ROOM_BYTES
    assert measured.held_out == pytest.approx(ROWS / 10, abs=7)


def test_all_of_them_was_read(measured: Measured) -> None:
    assert measured.csv.kind is SampleKind.LABELLED
    assert measured.jsonl.kind is SampleKind.CONVERSATION
    for report in (measured.csv, measured.jsonl):
        check_whole(report)


def check_whole(report: DatasetReport) -> None:
    assert (report.errors, report.samples) == ((), ROWS)
    assert 0.95 * SIZE_BYTES < report.size_bytes <= SIZE_BYTES
