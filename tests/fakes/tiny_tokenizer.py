"""A vocabulary of bytes and a few words for llguidance, and a writer that follows a constraint at random."""

import random
from collections.abc import Iterable, Sequence

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from puna.domain.constraint import Constraint, JsonSchemaConstraint, LarkConstraint, RegexConstraint

_WORDS = ('", "', '": "', '": ', '"}', "}}", ' {"', "true", "null", "Lima", "name", "\n</", "</parameter>")
_CLOSING = frozenset(b'}]"\n<')
_MAX_TOKENS = 20_000


class TinyTokenizer:
    """Bytes, words, the end of text, and special tokens by name."""

    bos_token_id = None

    def __init__(self, special_tokens: Iterable[str] = (), words: Iterable[str] = ()) -> None:
        names = ["<end>", *special_tokens]
        texts = [word for word in dict.fromkeys([*_WORDS, *words]) if word not in names]
        self.tokens = [*(bytes([i]) for i in range(256)), *(text.encode() for text in texts)]
        self.eos_token_id = len(self.tokens)
        self.special_tokens = {name: self.eos_token_id + i for i, name in enumerate(names)}
        self.tokens += [name.encode() for name in names]
        self.special_token_ids = list(self.special_tokens.values())
        self.for_llguidance = LLTokenizer(TokenizerWrapper(self))

    def __call__(self, text: bytes) -> list[int]:
        """Return tokens of a text as llguidance asks for them: its bytes."""
        return list(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, special ones included."""
        return b"".join(self.tokens[token] for token in tokens).decode("utf-8", "replace")


def write_at_random(tokenizer: TinyTokenizer, constraint: Constraint, rng: random.Random) -> str:
    """Return a text that the constraint allows, written by a model that knows nothing.

    It likes to close what is open, so that it comes to an end.
    """
    limits = LLParserLimits(max_lexer_states=50_000, verbose_errors=False)
    matcher = LLMatcher(tokenizer.for_llguidance, _to_grammar(constraint), log_level=0, limits=limits)
    assert not matcher.is_error(), matcher.get_error()
    tokens: list[int] = []
    while not matcher.is_stopped():
        assert len(tokens) < _MAX_TOKENS
        chosen = matcher.compute_ff_tokens() or [_choose(tokenizer, matcher, rng)]
        if chosen == [tokenizer.eos_token_id]:
            break
        assert matcher.consume_tokens(chosen), matcher.get_error()
        tokens += chosen
    assert not matcher.is_error(), matcher.get_error()
    assert matcher.is_accepting()
    return tokenizer.decode(tokens)


def _choose(tokenizer: TinyTokenizer, matcher: LLMatcher, rng: random.Random) -> int:
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    allowed = np.flatnonzero(np.unpackbits(bits, bitorder="little")[: len(tokenizer.tokens)]).tolist()
    end = tokenizer.eos_token_id
    if end in allowed and (len(allowed) == 1 or rng.random() < 0.5):
        return end
    special = [token for token in allowed if token > end]
    closing = [token for token in allowed if 256 <= token < end or token in _CLOSING]
    if special and rng.random() < 0.5:
        return rng.choice(special)
    if closing and rng.random() < 0.6:
        return rng.choice(closing)
    return rng.choice([token for token in allowed if token != end])


def _to_grammar(constraint: Constraint) -> str:
    match constraint:
        case JsonSchemaConstraint(schema):
            return LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
        case LarkConstraint(grammar):
            return LLMatcher.grammar_from_lark(grammar)
        case RegexConstraint(pattern):
            return LLMatcher.grammar_from_regex(pattern)
