"""Train Puna's built-in demo model and write it, with its model card, into the daemon's assets.

The script needs packages that nothing else in the project needs:

    pip install "torch>=2.9" tokenizers gguf numpy

Everything is generated: the script reads no data and downloads nothing. The same seed and the same number of
threads give the same file on the same machine.
"""

import argparse
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch

from demo_model.card import Card, describe_model, write_card
from demo_model.gguf_file import FILE_TYPES, write_gguf
from demo_model.network import Network, Shape
from demo_model.rows import Rows
from demo_model.samples import draw_samples
from demo_model.text.corpus import Corpus
from demo_model.tokenizer import Tokenizer
from demo_model.training import Plan, measure_loss, train

ASSETS = Path(__file__).parent.parent / "daemon" / "puna" / "assets"
VOCABULARY_SIZE = 4096
TOKENIZER_DOCUMENTS = 40_000
TOKENS_OF_A_SHORT_DOCUMENT = 50
HELD_OUT_ROWS = 256
CHECKPOINT_ROWS = 32


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    # Filling takes time, and nothing reads such memory. (The attribute is defined on the module's class.)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(arguments.seed)
    run = Run(arguments)
    run.train()
    run.finish()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of text and weights (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2000, help="steps of 2048 tokens (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=ASSETS / "demo.gguf", help="the model (default: %(default)s)"
    )
    parser.add_argument(
        "--card", type=Path, default=ASSETS / "demo.md", help="the card (default: %(default)s)"
    )
    parser.add_argument(
        "--file-type", choices=sorted(FILE_TYPES), default="q8_0", help="default: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: a few steps on small batches")
    return parser.parse_args()


class Run:
    """One training run, from text to file."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._seed: int = arguments.seed
        self._threads: int = arguments.threads
        self._output: Path = arguments.output
        self._card: Path = arguments.card
        self._file_type: str = arguments.file_type
        self._plan = (
            Plan(steps=8, batch_tokens=2048, warm_up_steps=2) if arguments.quick else Plan(arguments.steps)
        )
        self._held_out_rows = 8 if arguments.quick else HELD_OUT_ROWS
        self._tokenizer = self._train_tokenizer()
        self._network = Network(Shape(vocabulary=self._tokenizer.size))

    def train(self) -> None:
        print(f"{self._network.count_parameters():,} parameters, {self._tokenizer.size} tokens", flush=True)
        rows = Rows(Corpus(self._seed, held_out=False), self._tokenizer)
        result = train(self._network, rows, self._plan, self._save_checkpoint)
        print(
            f"{result.tokens:,} tokens, {result.wall_time_s:,.0f} s, {result.tokens_per_second:,.0f} tokens/s"
        )

    def finish(self) -> None:
        """Measure the held-out loss, print samples, and write the file and its card."""
        loss = self._measure_held_out_loss(self._held_out_rows)
        samples = draw_samples(self._network, self._tokenizer)
        card = Card(
            shape=self._network.shape,
            parameters=self._network.count_parameters(),
            seed=self._seed,
            threads=self._threads,
            plan=self._plan,
            held_out_loss=loss,
            held_out_tokens=self._held_out_rows * self._plan.short_row,
            samples=samples,
        )
        print(f"held-out loss {loss:.4f}")
        for sample in samples:
            print(f"\n{sample.prompt!r}\n{sample.output!r}")
        self._write_model()
        self._card.write_text(write_card(card), encoding="utf-8")

    def _train_tokenizer(self) -> Tokenizer:
        return Tokenizer.train(
            islice(Corpus(self._seed, held_out=False), TOKENIZER_DOCUMENTS), VOCABULARY_SIZE
        )

    @cached_property
    def _training_documents(self) -> frozenset[str]:
        """All documents that training reads, and some more."""
        count = self._plan.tokens // TOKENS_OF_A_SHORT_DOCUMENT
        return frozenset(islice(Corpus(self._seed, held_out=False), count))

    def _save_checkpoint(self, step: int) -> None:
        print(f"step {step:5d}  held-out loss {self._measure_held_out_loss(CHECKPOINT_ROWS):.4f}", flush=True)
        self._write_model()

    def _measure_held_out_loss(self, row_count: int) -> float:
        rows = Rows(Corpus(self._seed, held_out=True), self._tokenizer, without=self._training_documents)
        return measure_loss(self._network, rows, row_count, self._plan.short_row)

    def _write_model(self) -> None:
        self._output.parent.mkdir(parents=True, exist_ok=True)
        description = describe_model(self._network.count_parameters())
        write_gguf(
            self._output, self._network, self._tokenizer, file_type=self._file_type, description=description
        )
        print(f"{self._output.name}: {self._output.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
