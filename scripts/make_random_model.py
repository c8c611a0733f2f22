"""Writes a GGUF file of a given size with random weights, to measure with: it runs as a real model of its size does.

    python3 scripts/make_random_model.py 0.3B random-0.3b.gguf
    python3 scripts/make_random_model.py 1B random-1b-f16.gguf --quantisation f16 --context-length 8192

The vocabulary is that of the built-in demo model, the architecture Llama. The same arguments give the same file.
"""

import argparse
from pathlib import Path

from random_model.gguf_file import QUANTISATIONS, count_tokens, write_random_model
from random_model.shape import choose_shape

_DEMO = Path(__file__).resolve().parents[1] / "daemon/puna/assets/demo.gguf"
_UNITS = {"M": 1e6, "B": 1e9}


def main() -> None:
    """Write the file that the command line describes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", type=parse_size, help="parameters, such as 300M or 1B")
    parser.add_argument("path", type=Path, help="the file to write; one that is there is replaced")
    parser.add_argument("--quantisation", choices=sorted(QUANTISATIONS), default="q8_0")
    parser.add_argument("--context-length", type=int, default=4096, help="tokens it claims to be trained for")
    parser.add_argument("--vocabulary-of", type=Path, default=_DEMO, metavar="GGUF")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    shape = choose_shape(given.size, count_tokens(given.vocabulary_of))
    write_random_model(
        given.path,
        shape,
        QUANTISATIONS[given.quantisation],
        vocabulary_of=given.vocabulary_of,
        context_length=given.context_length,
        seed=given.seed,
    )
    size_mib = given.path.stat().st_size / 1024**2
    print(
        f"{given.path}: {shape.parameters / 1e9:.2f}B parameters, {shape.layers} layers of {shape.width}, "
        f"{given.quantisation}, {size_mib:.0f} MiB"
    )


def parse_size(text: str) -> float:
    """Return the number that `300M` or `1.1B` means."""
    try:
        size = float(text[:-1]) * _UNITS[text[-1:].upper()]
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError("write a number and M or B, such as 300M or 1B") from None
    if not 1e6 <= size <= 20e9:
        raise argparse.ArgumentTypeError("must be from 1M to 20B")
    return size


if __name__ == "__main__":
    main()
