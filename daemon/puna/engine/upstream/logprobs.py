"""Log probabilities as engines tell them. Pure."""

import re

from puna.domain.generation import TokenLogprob
from puna.engine.upstream.replies import LogprobFields, TopFields

_IMPOSSIBLE = -9999.0
_BYTES = re.compile(r"bytes:((?:\\x[0-9a-fA-F]{2})+)")


def to_logprobs(fields: LogprobFields, top: int) -> tuple[TokenLogprob, ...]:
    """Return the tokens of a chat or of a text completion, each with at most `top` others."""
    if fields.content is not None:
        return tuple(
            TokenLogprob(
                _bytes_of(each), each.logprob, tuple(map(_to_token, (each.top_logprobs or ())[:top]))
            )
            for each in fields.content
        )
    tokens, logprobs = fields.tokens or [], fields.token_logprobs or []
    others = fields.top_logprobs or [None] * len(tokens)
    return tuple(
        TokenLogprob(_to_bytes(token), _IMPOSSIBLE if logprob is None else logprob, _rank(words or {}, top))
        for token, logprob, words in zip(tokens, logprobs, others, strict=False)
    )


def _to_token(fields: TopFields) -> TokenLogprob:
    return TokenLogprob(_bytes_of(fields), fields.logprob)


def _bytes_of(fields: TopFields) -> bytes:
    if fields.bytes is None or not all(0 <= each < 256 for each in fields.bytes):
        return _to_bytes(fields.token)
    return bytes(fields.bytes)


def _rank(words: dict[str, float], top: int) -> tuple[TokenLogprob, ...]:
    """Engines put the token that was taken among the likely ones, which may make one too many."""
    best = sorted(words.items(), key=lambda item: -item[1])[:top]
    return tuple(TokenLogprob(_to_bytes(word), logprob) for word, logprob in best)


def _to_bytes(token: str) -> bytes:
    r"""Return a token's bytes; text completions write `bytes:\xe2\x80` for what is no text."""
    written = _BYTES.fullmatch(token)
    return bytes.fromhex(written[1].replace("\\x", "")) if written else token.encode()
