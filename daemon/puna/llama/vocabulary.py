"""A model's vocabulary: text to tokens and back."""

import ctypes
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

import llama_cpp
from msgspec import Struct

_PIECE_BYTES = 64
_INT32_MAX = 2**31 - 1
_LONG_TEXT = 16_384
"""Characters that llama.cpp gets at once where it looks for special tokens."""
_CONTROL, _USER_DEFINED = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL, llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED


class InfillTokens(Struct, frozen=True):
    """Tokens that stand around a gap in a text, for models that were trained to fill it."""

    prefix: int
    suffix: int
    middle: int


class Vocabulary:
    """Read-only, so any thread may tokenise; it lives as long as its model."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.n_tokens = int(llama_cpp.llama_vocab_n_tokens(handle))
        self._pieces: dict[int, bytes] = {}
        self.end_tokens = frozenset(
            token for token in range(self.n_tokens) if llama_cpp.llama_vocab_is_eog(handle, token)
        )

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Return the tokens of a text.

        `add_special` puts the model's beginning-of-text token in front where the model wants one;
        `parse_special` reads names such as `<|im_end|>` as the control tokens they are.
        """
        if not parse_special or len(text) <= _LONG_TEXT or self._closes_texts:
            return self._tokenize(text, add_special=add_special, parse_special=parse_special)
        first, *others = self._split(text)
        tokens = self._tokenize(first, add_special=add_special, parse_special=True)
        for part in others:
            tokens += self._tokenize(part, add_special=False, parse_special=True)
        return tokens

    def _split(self, text: str) -> Iterator[str]:
        """Yield parts that begin with a special token each: llama.cpp copies its whole text for every one in it."""
        start = 0
        while match := self._special_texts.search(text, start + _LONG_TEXT):
            yield text[start : match.start()]
            start = match.start()
        yield text[start:]

    def _tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        raw = text.encode("utf-8", "replace")
        capacity = len(raw) + 8
        while True:
            tokens = (llama_cpp.llama_token * capacity)()
            count: int = llama_cpp.llama_tokenize(
                self.handle, raw, len(raw), tokens, capacity, add_special, parse_special
            )
            if count >= 0:
                return tokens[:count]
            if count < -_INT32_MAX:
                raise OverflowError("the text has too many tokens")
            capacity = -count

    @property
    def _closes_texts(self) -> bool:
        """Whether a token comes behind every text, so that one text must not become several."""
        handle = self.handle
        return bool(llama_cpp.llama_vocab_get_add_eos(handle) or llama_cpp.llama_vocab_get_add_sep(handle))

    @cached_property
    def _special_texts(self) -> re.Pattern[str]:
        """Those that llama.cpp looks for in a text; of two that begin alike the longer counts."""
        kinds = _CONTROL | _USER_DEFINED | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
        special = (
            token
            for token in range(self.n_tokens)
            if llama_cpp.llama_vocab_get_attr(self.handle, token) & kinds
        )
        texts = {self._special_text(token) for token in special} - {""}
        return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)")

    def piece(self, token: int) -> bytes:
        """Return the bytes of one token; control tokens have none."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._render(token, special=False)
        return piece

    def _render(self, token: int, *, special: bool) -> bytes:
        size = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            count: int = llama_cpp.llama_token_to_piece(self.handle, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def is_end(self, token: int) -> bool:
        """Return whether a token ends the generation (end of text, of turn or of message)."""
        return token in self.end_tokens

    def find_special(self, texts: Iterable[str]) -> dict[str, int]:
        """Return those of the texts that are one special token, as llguidance takes them, with its id.

        That is a control token, or one that a user defined and that stands in angle brackets.
        """
        found = {}
        for text in texts:
            tokens = self.tokenize(text, add_special=False, parse_special=True)
            if len(tokens) == 1 and self._is_special(tokens[0], text):
                found[text] = tokens[0]
        return found

    def _is_special(self, token: int, text: str) -> bool:
        attributes: int = llama_cpp.llama_vocab_get_attr(self.handle, token)
        if attributes & _CONTROL:
            return True
        is_defined = attributes & _USER_DEFINED
        return bool(is_defined) and text.startswith("<") and text.endswith(">")

    @property
    def opening(self) -> list[int]:
        """The tokens that the model wants before every text: its beginning-of-text token, or none."""
        if not llama_cpp.llama_vocab_get_add_bos(self.handle):
            return []
        return [int(llama_cpp.llama_vocab_bos(self.handle))]

    @property
    def infill_tokens(self) -> InfillTokens | None:
        """The tokens around a gap; None where the model cannot fill one."""
        tokens = InfillTokens(
            int(llama_cpp.llama_vocab_fim_pre(self.handle)),
            int(llama_cpp.llama_vocab_fim_suf(self.handle)),
            int(llama_cpp.llama_vocab_fim_mid(self.handle)),
        )
        return None if min(tokens.prefix, tokens.suffix, tokens.middle) < 0 else tokens

    @property
    def bos_text(self) -> str:
        """The beginning-of-text token as templates name it; empty when there is none."""
        return self._special_text(llama_cpp.llama_vocab_bos(self.handle))

    @property
    def eos_text(self) -> str:
        """The end-of-text token as templates name it; empty when there is none."""
        return self._special_text(llama_cpp.llama_vocab_eos(self.handle))

    def _special_text(self, token: int) -> str:
        return "" if token < 0 else self._render(token, special=True).decode("utf-8", "replace")
