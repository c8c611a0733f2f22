"""One chain of llama.cpp's C samplers, for one request."""

from collections.abc import Iterable
from typing import Any

import llama_cpp

from puna.domain.generation import Sampling
from puna.llama.context import Context

Handle = Any
"""A `llama_sampler *`, which only llama.cpp looks into."""
_MIN_KEEP = 1
_SEED_MASK = 0xFFFFFFFF
_FULL_VOCABULARY_CUT = 1024
"""Candidates kept when the request sets no `top_k`: `top_p` over a vocabulary of 128,000 sorts for 6 to 7 ms a
token, and what lies behind the first thousand is noise."""


class Sampler:
    """Chooses the next token of one sequence. Values must be clamped before: llama.cpp aborts on some."""

    def __init__(self, sampling: Sampling, *, seed: int, n_vocab: int) -> None:
        params = llama_cpp.llama_sampler_chain_default_params()
        params.no_perf = True
        self.handle = llama_cpp.llama_sampler_chain_init(params)
        for sampler in _chain(sampling, seed & _SEED_MASK, n_vocab):
            llama_cpp.llama_sampler_chain_add(self.handle, sampler)

    def close(self) -> None:
        """Free the chain. Idempotent."""
        if self.handle:
            llama_cpp.llama_sampler_free(self.handle)
            self.handle = None

    def accept(self, tokens: Iterable[int]) -> None:
        """Tell the penalties about tokens that were not sampled here, such as the end of the prompt."""
        for token in tokens:
            llama_cpp.llama_sampler_accept(self.handle, token)

    def sample(self, context: Context, index: int) -> int:
        """Return the token chosen from the logits of batch entry `index`, and remember it."""
        return int(llama_cpp.llama_sampler_sample(self.handle, context.handle, index))


def _chain(sampling: Sampling, seed: int, n_vocab: int) -> Iterable[Handle]:
    """Yield the samplers in llama.cpp's usual order: penalties, top_k, top_p, min_p, temperature, draw.

    In front, a `top_k` that leaves as many candidates as can matter: penalties lower at most `penalty_window`
    of them, so that `top_k + penalty_window` candidates before are the same `top_k` after.
    """
    if sampling.logit_bias:
        yield _bias(sampling, n_vocab)
    is_greedy = sampling.temperature <= 0
    top_k = 1 if is_greedy else sampling.top_k or _FULL_VOCABULARY_CUT
    if _has_penalties(sampling):
        if _only_lowers(sampling):
            yield llama_cpp.llama_sampler_init_top_k(min(top_k + sampling.penalty_window, n_vocab))
        yield llama_cpp.llama_sampler_init_penalties(
            n_vocab,
            sampling.penalty_window,
            sampling.repetition_penalty,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        )
    if is_greedy:
        yield llama_cpp.llama_sampler_init_greedy()
        return
    yield llama_cpp.llama_sampler_init_top_k(top_k)
    if sampling.top_p < 1:
        yield llama_cpp.llama_sampler_init_top_p(sampling.top_p, _MIN_KEEP)
    if sampling.min_p > 0:
        yield llama_cpp.llama_sampler_init_min_p(sampling.min_p, _MIN_KEEP)
    yield llama_cpp.llama_sampler_init_temp(sampling.temperature)
    yield llama_cpp.llama_sampler_init_dist(seed)


def _bias(sampling: Sampling, n_vocab: int) -> Handle:
    pairs = [(token, bias) for token, bias in sampling.logit_bias if 0 <= token < n_vocab]
    entries = [llama_cpp.llama_logit_bias(token, bias) for token, bias in pairs]
    array = (llama_cpp.llama_logit_bias * len(entries))(*entries)
    return llama_cpp.llama_sampler_init_logit_bias(n_vocab, len(pairs), array)


def _has_penalties(sampling: Sampling) -> bool:
    return (
        sampling.repetition_penalty != 1 or sampling.frequency_penalty != 0 or sampling.presence_penalty != 0
    )


def _only_lowers(sampling: Sampling) -> bool:
    return (
        sampling.repetition_penalty >= 1
        and sampling.frequency_penalty >= 0
        and sampling.presence_penalty >= 0
    )
