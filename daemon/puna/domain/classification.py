"""Which labels a model that was fine-tuned on labels gives to a text, and how sure it is. Pure.

A text with one label: the model's own probability of writing exactly that label, for each label, made to sum to 1.
A text with any number of labels: the model writes them, kept to known labels without repetition; the probability of
each is that of its words in their place.
"""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct

from puna.domain.chat import Message, Role
from puna.domain.constraint import Constraint, LarkConstraint, RegexConstraint
from puna.domain.generation import ChatPrompt, Completion, GenerationRequest, Sampling, TokenLogprob

SEPARATOR = ", "
"""Between the labels of a text, as in training."""
END = "\n"
"""Asked for behind a label that other labels begin with, to learn how likely the text is to end there."""
_LIKELY = 20
"""Tokens among which the end of the text is looked for."""
_PLAIN = re.compile(r"[A-Za-z0-9 ,_]")


class LabelChance(Struct, frozen=True):
    """A label, and how sure the model is of it, from 0 to 1."""

    label: str
    probability: float


def to_score_request(text: str, label: str, *, with_end: bool) -> GenerationRequest:
    """Return the request whose log probabilities say how likely the model is to answer a text with this label."""
    pattern = _escape(label) + (END if with_end else "")
    return _to_request(text, RegexConstraint(pattern), top_logprobs=_LIKELY if with_end else 0)


def to_labels_request(text: str, labels: Sequence[str]) -> GenerationRequest:
    """Return the request that writes some of the labels behind a text, each at most once."""
    return _to_request(text, LarkConstraint(to_grammar(labels)), top_logprobs=0)


def _to_request(text: str, constraint: Constraint, *, top_logprobs: int) -> GenerationRequest:
    return GenerationRequest(
        prompt=ChatPrompt((Message(Role.USER, text),), is_thinking=False),
        sampling=Sampling(temperature=0.0),
        constraint=constraint,
        top_logprobs=top_logprobs,
    )


def to_grammar(labels: Sequence[str]) -> str:
    """Return a grammar of some of the labels, at least one, joined by the separator, in any order, none twice."""
    one = f"({'|'.join(map(_escape, labels))})"
    twice = "|".join(
        f"((?s:.)*, )?{label}, ((?s:.)*, )?{label}(, (?s:.)*)?" for label in map(_escape, labels)
    )
    return f"start: LABELS\nLABELS: /{one}(, {one})*/ & ~/{twice}/\n"


def _escape(text: str) -> str:
    """Return a regular expression of exactly this text, in Rust's syntax; safe between slashes too."""
    return "".join(each if _PLAIN.fullmatch(each) else f"\\x{{{ord(each):x}}}" for each in text)


def needs_end(labels: Sequence[str]) -> bool:
    """Return whether one label begins with another, so that its first words alone do not say which is meant."""
    ordered = sorted(labels)
    return any(later.startswith(first) for first, later in pairwise(ordered))


def to_score(label: str, completion: Completion) -> float:
    """Return the logarithm of how likely the model was to write a label, and to end there where that was asked for."""
    length = len(label.encode())
    score, written = 0.0, 0
    for token in completion.logprobs:
        if written >= length:
            return score + _end_of_text(token)
        score += token.logprob
        written += len(token.text)
    return score


def _end_of_text(token: TokenLogprob) -> float:
    """Return the logarithm of how likely the text was to end instead of this token, or what it is at most."""
    ends = [each.logprob for each in token.top if not each.text]
    return max(ends, default=min((each.logprob for each in token.top), default=0.0))


def to_chances(labels: Sequence[str], scores: Sequence[float]) -> tuple[LabelChance, ...]:
    """Return the labels with probabilities that sum to 1, the likeliest first."""
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = sum(weights)
    return sort_chances(
        LabelChance(label, weight / total) for label, weight in zip(labels, weights, strict=True)
    )


def to_written(completion: Completion) -> tuple[LabelChance, ...]:
    """Return the labels that the model wrote, in its order, each with the probability of its words in their place."""
    labels = completion.text.split(SEPARATOR)
    ends = _ends_of(labels)
    scores = [0.0] * len(labels)
    written = 0
    for token in completion.logprobs:
        written += len(token.text)
        place = next((number for number, end in enumerate(ends) if written <= end), len(labels) - 1)
        scores[place] += token.logprob
    return tuple(LabelChance(label, math.exp(score)) for label, score in zip(labels, scores, strict=True))


def _ends_of(labels: Sequence[str]) -> list[int]:
    """Return up to which byte the text of each label goes, the separator before it included."""
    ends, end = [], 0
    for number, label in enumerate(labels):
        end += len(label.encode()) + (len(SEPARATOR) if number else 0)
        ends.append(end)
    return ends


def with_others(written: Sequence[LabelChance], alone: Sequence[LabelChance]) -> tuple[LabelChance, ...]:
    """Return every label: those that were written, and the others as likely as they were to be the only one."""
    known = {each.label for each in written}
    return sort_chances([*written, *(each for each in alone if each.label not in known)])


def sort_chances(chances: Iterable[LabelChance]) -> tuple[LabelChance, ...]:
    """Return them, the likeliest first."""
    return tuple(sorted(chances, key=lambda each: -each.probability))
