"""Measures Puna on this machine.

    python3 scripts/bench.py [WHAT ...] [--model FILE] [--runs N] [--tokens N]

start      time to the first healthy answer, memory at rest without a model
generate   first token, tokens per second of one stream and of eight
typed      typed objects against free text of the same length
jobs       a job of 200 tasks against 200 single calls
train      the cost of a training step in forward passes, for a random model of 150M, beside torch and peft
           where these are installed (PUNA_BENCH_TORCH_PYTHON names the Python that has them)
finetune   a model that learns three labels: accuracy before and after, and the time
residency  what models claim of memory and what they take, for the model and random ones of 0.3B and 1B

Figures are medians where there are several runs. Compare ratios measured in one run, not times from different
machines: `generate` puts the same requests through llama-cpp-python's own `Llama` class as the peer.
"""

import argparse
from pathlib import Path

from benchmarks.finetune import measure_finetune
from benchmarks.generation import measure_generate
from benchmarks.jobs import measure_jobs
from benchmarks.residency import measure_residency
from benchmarks.start import measure_start
from benchmarks.train import measure_train
from benchmarks.typed import measure_typed
from environment import ROOT

_MEASURES = ("start", "generate", "typed", "jobs", "residency", "train", "finetune")


def main() -> None:
    """Run the measurements that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", metavar="|".join(_MEASURES), help="what to measure (all)")
    parser.add_argument("--model", type=Path, default=ROOT / "daemon/puna/assets/demo.gguf")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200, help="tokens of each text")
    given = parser.parse_args()
    wanted = given.what or _MEASURES
    if unknown := set(wanted) - set(_MEASURES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(_MEASURES)}")
    if "start" in wanted:
        measure_start(given.runs)
    if "generate" in wanted:
        measure_generate(given.model, given.runs, given.tokens)
    if "typed" in wanted:
        measure_typed(given.model, given.runs)
    if "jobs" in wanted:
        measure_jobs(given.model, min(given.tokens, 60))
    if "residency" in wanted:
        measure_residency(given.model)
    if "train" in wanted:
        measure_train(given.runs)
    if "finetune" in wanted:
        measure_finetune(given.model)


if __name__ == "__main__":
    main()
