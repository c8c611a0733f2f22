"""Texts that can be special tokens of a vocabulary."""

import re
from collections.abc import Iterable

_MARKER = re.compile(r"<[^<>\s=]+>|\[[A-Z_/]+\]")


def find_markers(texts: Iterable[str]) -> frozenset[str]:
    """Return the markers within these texts: names between angles, or Mistral's in brackets."""
    return frozenset(marker for text in texts for marker in _MARKER.findall(text))
