"""A program that checks and divides datasets of 50 MB, made on the fly, and prints what memory that took.

A process of its own measures truly, and ten times faster than `tracemalloc` does.
"""

import sys
from collections.abc import Callable, Iterator

import msgspec

from puna.domain.datasets import DatasetFormat, DatasetReport
from puna.finetune.datasets.inspection import inspect_dataset
from puna.finetune.datasets.opening import read_samples
from puna.finetune.datasets.splitting import Part, SplitRule, plan_split
from puna.trainer.peak_memory import peak_memory

ROWS = 99_000
_CHUNK_BYTES = 65536


class Measured(msgspec.Struct):
    """What the program prints. Memory is what the process has grown by at its highest."""

    csv: DatasetReport
    jsonl: DatasetReport
    held_out: int
    grown_bytes: int


def main() -> None:
    """Measure, and print the result as JSON."""
    inspect_dataset([b"text,label\na,b\n"], name="a.csv")
    before = peak_memory()
    csv = inspect_dataset(in_chunks(csv_rows()), name="a.csv")
    jsonl = inspect_dataset(in_chunks(conversations()), name="a.jsonl")
    held_out = count_held_out(lambda: in_chunks(csv_rows()))
    measured = Measured(csv, jsonl, held_out, peak_memory() - before)
    sys.stdout.buffer.write(msgspec.json.encode(measured))


def csv_rows() -> Iterator[bytes]:
    """Yield 99,000 rows of seven labels, with quotes and commas."""
    yield b"text,label\r\n"
    text = "all of them, and more; " * 22
    for number in range(ROWS):
        yield f'"{number} {text}",label {number % 7}\r\n'.encode()


def conversations() -> Iterator[bytes]:
    """Yield 99,000 conversations."""
    answer = "so it is and so it was " * 18
    for number in range(ROWS):
        question = f'{{"role": "user", "content": "{number}?"}}'
        yield f'{{"messages": [{question}, {{"role": "assistant", "content": "{answer}"}}]}}\n'.encode()


def in_chunks(rows: Iterator[bytes]) -> Iterator[bytes]:
    """Yield rows as a file is read."""
    chunk = bytearray()
    for row in rows:
        chunk += row
        if len(chunk) > _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def count_held_out(read: Callable[[], Iterator[bytes]]) -> int:
    """Divide a dataset, and return how many of its samples are held out."""
    split = plan_split(read_samples(read(), DatasetFormat.CSV), SplitRule(share=0.1, most=50_000))
    return sum(1 for _ in split.select(read_samples(read(), DatasetFormat.CSV), Part.HELD_OUT))


if __name__ == "__main__":
    main()
