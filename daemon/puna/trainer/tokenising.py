"""Samples to tokens."""

from puna.domain.training import Sample, TextPart, TextSample, TokenSample
from puna.errors import InvalidRequestError
from puna.llama.special_tokens import read_special_tokens
from puna.llama.vocabulary import Vocabulary


def tokenise(sample: Sample, vocabulary: Vocabulary) -> TokenSample:
    """Return a sample in tokens. Raises `InvalidRequestError` for tokens that the vocabulary does not have."""
    if isinstance(sample, TokenSample):
        return _check(sample, vocabulary)
    return _tokenise_text(sample, vocabulary)


def _check(sample: TokenSample, vocabulary: Vocabulary) -> TokenSample:
    if all(0 <= token < vocabulary.n_tokens for token in sample.tokens):
        return sample
    raise InvalidRequestError(
        f"A sample has a token outside the vocabulary of {vocabulary.n_tokens:,} tokens."
    )


def _tokenise_text(sample: TextSample, vocabulary: Vocabulary) -> TokenSample:
    tokens = list(vocabulary.opening) if sample.is_opened else []
    answers: list[tuple[int, int]] = []
    before = ""
    for part in sample.parts:
        first = len(tokens)
        tokens += _continue(before, part, vocabulary)
        before = "" if part.has_control else before + part.text
        if part.is_answer:
            answers.append((first, len(tokens)))
    end = read_special_tokens(vocabulary).eos if sample.is_ended else None
    if end is not None:
        answers.append((len(tokens), len(tokens) + 1))
        tokens.append(end)
    return TokenSample(tokens, tuple(answers))


def _continue(before: str, part: TextPart, vocabulary: Vocabulary) -> list[int]:
    """Return the tokens of a part as they stand behind the text before it.

    Many vocabularies put a space in front of each text, which does not belong between two parts of one.
    """
    if before and not part.has_control:
        known = vocabulary.tokenize(before, add_special=False, parse_special=False)
        joint = vocabulary.tokenize(before + part.text, add_special=False, parse_special=False)
        if joint[: len(known)] == known:
            return joint[len(known) :]
    return vocabulary.tokenize(part.text, add_special=False, parse_special=part.has_control)
