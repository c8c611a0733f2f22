"""Quantisations: what a file name tells of one, which to recommend, and what fits this machine."""

import re
from collections.abc import Iterable, Sequence

from puna.domain.hub_offers import Fit
from puna.domain.part_names import parse_part_name

RECOMMENDED: tuple[str, ...] = (
    "Q4_K_M", "Q4_K_XL", "MXFP4", "Q4_K", "Q4_K_L", "IQ4_NL", "IQ4_XS", "Q4_K_S", "Q4_0", "Q4_1", "Q5_K_M", "Q5_K_XL",
    "Q5_K", "Q5_K_L", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q6_K_XL", "Q6_K_L", "Q8_0", "Q8_K_XL", "Q3_K_L", "Q3_K_XL",
    "Q3_K_M", "Q3_K", "IQ3_M", "IQ3_S", "Q3_K_S", "IQ3_XS", "IQ3_XXS", "BF16", "F16", "Q2_K_L", "Q2_K_XL", "Q2_K",
    "IQ2_M", "Q2_K_S", "IQ2_S", "IQ2_XS", "IQ2_XXS", "TQ2_0", "TQ1_0", "IQ1_M", "IQ1_S", "F32",
)  # fmt: skip
"""The best for most people first: about 4.8 bits a weight lose little and halve the memory of 8 bits.

Order after llama.cpp's perplexity tables (tools/quantize/README.md) and what its `-hf` option takes: Q4_K_M, then
what is near it in size, larger before smaller, and last what is barely usable or needlessly large.
"""
SMALL_MODEL_BYTES = 600 * 1024 * 1024
"""Where 8 bits a weight take no more, they are recommended: small models suffer most, and memory is no matter."""
WORKING_SHARE = 1.2
"""Memory of a running model by the size of its files, roughly: keys and values of a few thousand tokens, buffers."""
WORKING_BYTES = 300 * 1024 * 1024

_LABEL = re.compile(
    r"(?:^|[-_./])(?P<label>(?:UD-)?(?:I?Q[1-8]_(?:[01]|K|NL|XXS|XS|S|M)(?:_(?:XXS|XS|S|M|L|XL))?(?:_[48]_[48])?"
    r"|I?Q[1-8]|TQ[12]_0|MXFP4(?:_MOE)?|NVFP4|BF16|FP16|F16|FP32|F32))(?=$|[-_./])",
    re.IGNORECASE,
)
_SAME = {"FP16": "F16", "FP32": "F32", "MXFP4_MOE": "MXFP4", "Q8": "Q8_0"}


def label_of(file_name: str) -> str:
    """Return the quantisation in a file's name, such as `Q4_K_M`; empty where it names none.

    A folder's name counts where the file's own has none: many repositories have a folder for each. The `UD-` of
    dynamic quantisations is left out.
    """
    folder, _, name = file_name.rpartition("/")
    part = parse_part_name(name)
    stem = part.stem if part else name.removesuffix(".gguf").removesuffix(".GGUF")
    for text in (stem, folder):
        found = list(_LABEL.finditer(text))
        if found:
            label = found[-1]["label"].upper().removeprefix("UD-")
            return _SAME.get(label, label)
    return ""


def same_label(label: str, wanted: str) -> bool:
    """Return whether people mean this quantisation: `q4_k_m`, `Q4_K_M` and `UD-Q4_K_M` alike."""
    plain = wanted.upper().removeprefix("UD-")
    return label == _SAME.get(plain, plain)


def rank(label: str) -> int:
    """Return how early a quantisation is recommended; unknown ones come last."""
    return RECOMMENDED.index(label) if label in RECOMMENDED else len(RECOMMENDED)


def recommend(sizes: Sequence[tuple[str, int]], memory_bytes: int | None = None) -> int:
    """Return the index of the recommended quantisation of (label, bytes of all files), at least one.

    Where memory is known, the first recommended one that fits in it; where none does, the smallest.
    """
    order = sorted(range(len(sizes)), key=lambda index: (rank(sizes[index][0]), sizes[index][1]))
    small = [
        index for index in order if sizes[index][0] == "Q8_0" and 0 < sizes[index][1] <= SMALL_MODEL_BYTES
    ]
    order = small + order
    if memory_bytes is None:
        return order[0]
    fitting = [index for index in order if needed_bytes(sizes[index][1]) <= memory_bytes]
    return fitting[0] if fitting else min(order, key=lambda index: sizes[index][1])


def needed_bytes(size_bytes: int) -> int:
    """Return roughly what a model takes in memory; `puna.residency.estimate` knows more once it is on disk."""
    return int(size_bytes * WORKING_SHARE) + WORKING_BYTES


def judge_fit(size_bytes: int, *, free_bytes: int, total_bytes: int) -> Fit:
    """Return whether a model of this size runs in memory of which so much is free, all devices together."""
    needed = needed_bytes(size_bytes)
    if needed <= free_bytes:
        return Fit.FITS
    return Fit.TIGHT if needed <= total_bytes else Fit.TOO_LARGE


def by_preference(labels: Iterable[str]) -> list[str]:
    """Return labels, the recommended one first."""
    return sorted(labels, key=lambda label: (rank(label), label))
