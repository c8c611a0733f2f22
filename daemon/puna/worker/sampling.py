"""Sampling values as llama.cpp may see them: some that are out of range abort the process."""

import math
import secrets

import msgspec

from puna.domain.generation import Sampling
from puna.llama.sampler import Sampler

_SEED_BITS = 32
_COLDEST = 1e-6
"""Below, logits divided by it leave the range of 32-bit floats; the likeliest token is all that is left by then."""
_LONGEST_WINDOW = 4096


def clamp(sampling: Sampling, *, n_vocab: int) -> Sampling:
    """Return the values inside llama.cpp's ranges; what is not finite becomes "off"."""
    return msgspec.structs.replace(
        sampling,
        temperature=_to_temperature(sampling.temperature),
        top_p=_within(sampling.top_p, 0.0, 1.0, off=1.0),
        min_p=_within(sampling.min_p, 0.0, 1.0, off=0.0),
        top_k=min(max(sampling.top_k, 0), n_vocab),
        repetition_penalty=_within(sampling.repetition_penalty, 0.01, 100.0, off=1.0),
        frequency_penalty=_within(sampling.frequency_penalty, -10.0, 10.0, off=0.0),
        presence_penalty=_within(sampling.presence_penalty, -10.0, 10.0, off=0.0),
        logit_bias=tuple(
            (token, _within(bias, -100.0, 100.0, off=0.0)) for token, bias in sampling.logit_bias
        ),
        penalty_window=min(max(sampling.penalty_window, 0), _LONGEST_WINDOW),
    )


def build_sampler(sampling: Sampling, prompt: list[int], *, n_vocab: int) -> Sampler:
    """Return the chain of one request; its penalties know the end of the prompt where they count it."""
    clamped = clamp(sampling, n_vocab=n_vocab)
    seed = secrets.randbits(_SEED_BITS) if clamped.seed is None else clamped.seed
    sampler = Sampler(clamped, seed=seed, n_vocab=n_vocab)
    window = clamped.penalty_window if clamped.penalises_prompt else 0
    sampler.accept(prompt[-window:] if window else ())
    return sampler


def _to_temperature(value: float) -> float:
    temperature = _within(value, 0.0, 10.0, off=1.0)
    return temperature if temperature >= _COLDEST else 0.0


def _within(value: float, low: float, high: float, *, off: float) -> float:
    return min(max(value, low), high) if math.isfinite(value) else off
