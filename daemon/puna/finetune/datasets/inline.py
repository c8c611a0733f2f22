"""Datasets that come as values, not as a file: written as JSONL, so that they are checked and kept as any other."""

from collections.abc import Iterable, Iterator

import msgspec


class _Text(msgspec.Struct):
    text: str


def write_texts(texts: Iterable[str]) -> Iterator[bytes]:
    """Yield a dataset of plain texts as JSONL, a line at a time; row n is the nth text."""
    encoder = msgspec.json.Encoder()
    return (encoder.encode(_Text(text)) + b"\n" for text in texts)
