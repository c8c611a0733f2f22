"""Log probabilities as chat and text completions show them. Pure."""

import codecs
from collections.abc import Sequence

from puna.api.openai.chat.replies import LogprobReply, LogprobsReply, TopLogprobReply
from puna.api.openai.completions.replies import TextLogprobsReply
from puna.domain.generation import TokenLogprob

_LEAST = -9999.0
"""What OpenAI shows for a token that is as good as impossible; JSON has no infinity."""


def to_chat_logprobs(tokens: Sequence[TokenLogprob]) -> LogprobsReply:
    """Return them for a chat; tokens that are not whole characters show replacement characters."""
    return LogprobsReply(tuple(_to_logprob(token) for token in tokens))


class TextLogprobsWriter:
    """Makes the lists of text completions. Of one text: it knows where the text stands."""

    def __init__(self, offset: int = 0) -> None:
        """`offset` is where the first token begins, in characters."""
        self._offset = offset
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, tokens: Sequence[TokenLogprob]) -> TextLogprobsReply:
        """Return the lists for the next tokens."""
        return TextLogprobsReply(
            tokens=tuple(_to_word(token.text) for token in tokens),
            token_logprobs=tuple(_finite(token.logprob) for token in tokens),
            top_logprobs=tuple(_to_words(token) for token in tokens),
            text_offset=tuple(self._advance(token.text) for token in tokens),
        )

    def _advance(self, text: bytes) -> int:
        begin = self._offset
        self._offset += len(self._decoder.decode(text))
        return begin


def _to_logprob(token: TokenLogprob) -> LogprobReply:
    return LogprobReply(
        _to_text(token.text),
        _finite(token.logprob),
        tuple(token.text),
        tuple(
            TopLogprobReply(_to_text(top.text), _finite(top.logprob), tuple(top.text)) for top in token.top
        ),
    )


def _to_words(token: TokenLogprob) -> dict[str, float]:
    return {_to_word(each.text): _finite(each.logprob) for each in (*token.top, token)}


def _to_word(text: bytes) -> str:
    """Return a token as text completions name it: as its bytes where it is not whole characters."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in text)


def _to_text(text: bytes) -> str:
    return text.decode(errors="replace")


def _finite(logprob: float) -> float:
    return max(logprob, _LEAST)
