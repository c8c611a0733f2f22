"""The training loop: warm-up and cosine, short rows first, rows of the whole context length at the end."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from demo_model.network import Network
from demo_model.rows import Batch, Rows

BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
GRADIENT_LIMIT = 1.0
EMBEDDING_RATE_SHARE = 0.4
FINAL_RATE_SHARE = 0.02
NORMALISER_WEIGHT = 1e-2
"""Weight of the squared log-normaliser in the loss. It turns logits into log-probabilities: negative or about
zero. A repetition penalty multiplies negative logits, so a token that the network is sure of, such as a line
break or the end of the text, keeps its logit of about zero however often it came before."""


@dataclass(frozen=True)
class Plan:
    """How long, how fast and on what rows to train; a step is one batch of ``batch_tokens``.

    In short rows each document sees only itself, as a prompt does. The long rows at the end are one context
    each, and show the network every position up to the context length.
    """

    steps: int
    batch_tokens: int = 2048
    short_row: int = 512
    long_row: int = 2048
    long_share: float = 0.12
    warm_up_steps: int = 60
    peak_rate: float = 3e-3
    report_every: int = 50
    checkpoint_every: int = 300

    @property
    def tokens(self) -> int:
        return self.steps * self.batch_tokens

    def find_row_length(self, step: int) -> int:
        return self.long_row if step >= self.steps * (1 - self.long_share) else self.short_row

    def find_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        if step < self.warm_up_steps:
            return self.peak_rate * (step + 1) / self.warm_up_steps
        done = (step - self.warm_up_steps) / max(1, self.steps - self.warm_up_steps)
        cosine = (1 + math.cos(math.pi * done)) / 2
        return self.peak_rate * (FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * cosine)


@dataclass(frozen=True)
class Result:
    """What a training run took."""

    tokens: int
    wall_time_s: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.wall_time_s


def train(network: Network, rows: Rows, plan: Plan, checkpoint: Callable[[int], None]) -> Result:
    """Train the network in place; ``checkpoint`` is called with the number of finished steps now and then."""
    optimizers = _build_optimizers(network)
    started = time.monotonic()
    for step in range(plan.steps):
        rate = plan.find_rate(step)
        _set_rate(optimizers, rate)
        length = plan.find_row_length(step)
        batch = rows.draw_batch(plan.batch_tokens // length, length)
        loss = _take_step(
            network, optimizers, batch, batch.document_mask if length == plan.short_row else None
        )
        if step % plan.report_every == 0:
            _report(step, loss, rate, plan, time.monotonic() - started)
        if (step + 1) % plan.checkpoint_every == 0 and step + 1 < plan.steps:
            checkpoint(step + 1)
    return Result(plan.tokens, time.monotonic() - started)


def measure_loss(network: Network, rows: Rows, row_count: int, length: int) -> float:
    """Return the mean loss in nats per token over some rows."""
    total = 0.0
    with torch.no_grad():
        for _ in range(row_count):
            batch = rows.draw_batch(1, length)
            loss, _ = compute_losses(network(batch.inputs, batch.document_mask), batch.targets)
            total += loss.item()
    return total / row_count


def compute_losses(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross entropy and the mean squared log-normaliser."""
    logits = logits.float()
    normalisers = logits.logsumexp(-1)
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return (normalisers - chosen).mean(), normalisers.square().mean()


def _build_optimizers(network: Network) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers and AdamW for embeddings and norms."""
    matrices = [parameter for parameter in network.blocks.parameters() if parameter.dim() > 1]
    own = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in network.parameters() if id(parameter) not in own]
    return [
        torch.optim.Muon(matrices, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, betas=BETAS, weight_decay=0.0, fused=True),
    ]


def _set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    muon, adam = optimizers
    for group in muon.param_groups:
        group["lr"] = rate
    for group in adam.param_groups:
        group["lr"] = rate * EMBEDDING_RATE_SHARE


def _take_step(
    network: Network, optimizers: list[torch.optim.Optimizer], batch: Batch, mask: Tensor | None
) -> float:
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(batch.inputs, mask)
    loss, squared_normaliser = compute_losses(logits, batch.targets)
    network.zero_grad()
    torch.autograd.backward(loss + NORMALISER_WEIGHT * squared_normaliser)
    torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_LIMIT)
    for optimizer in optimizers:
        optimizer.step()
    return loss.item()


def _report(step: int, loss: float, rate: float, plan: Plan, elapsed_s: float) -> None:
    tokens_per_second = (step + 1) * plan.batch_tokens / elapsed_s
    print(
        f"step {step:5d} of {plan.steps}  loss {loss:.4f}  rate {rate:.2e}  "
        f"{tokens_per_second:,.0f} tokens/s  {elapsed_s:,.0f} s",
        flush=True,
    )
