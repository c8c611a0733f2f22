"""Texts that must have a form: constraints compiled by llguidance, one matcher for each request."""

import json
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from puna.domain.constraint import Constraint, JsonSchemaConstraint, LarkConstraint, RegexConstraint
from puna.errors import GenerationError, InvalidRequestError
from puna.llama.guidance import build_tokenizer
from puna.llama.vocabulary import Vocabulary
from puna.prompting.tools.annotations import drop_annotations
from puna.prompting.tools.grammar import JSON_FORM
from puna.prompting.tools.schemas import decode_schema_text
from puna.worker.closing import ClosingTokens, Tokens, reserve_tokens

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

MAX_GRAMMAR_CHARACTERS = 1_048_576
"""Enough for the schemas of many tools at once; what compiling may cost is bounded by `_LIMITS`."""
MAX_REGEX_CHARACTERS = 8_192
_BITS_PER_WORD = 32
_LIMITS = LLParserLimits(max_lexer_states=50_000, verbose_errors=False)
"""llguidance's defaults bound the work of a compilation to about 20 ms and of a step to 15 ms; a lexer state
takes up to 2 KiB. A grammar that needs more is refused, at its compilation or in mid-text. Thousands of optional
properties take seconds all the same, in the thread that prepares the request."""
_MESSAGE_CHARACTERS = 300
_NOTHING_FITS, _TOO_MUCH, _CAUSE = "NoExtensionBias", "Current row has ", "error: "
_UNHELD = re.compile(r'^Unimplemented keys: \["(.+)"\]$')
"""How llguidance says it."""


class TextConstraint:
    """Follows one text and says what may come next. Used by one thread at a time."""

    def __init__(
        self,
        matcher: LLMatcher,
        n_vocab: int,
        *,
        closing: ClosingTokens | None = None,
        reserve_tokens: int = 0,
    ) -> None:
        """With `closing`, the text is closed when no more than `reserve_tokens` tokens are left for it."""
        self._matcher = matcher
        self._closing = closing
        self._reserve_tokens = reserve_tokens
        self._mask = np.zeros(-(-n_vocab // _BITS_PER_WORD), dtype=np.int32)
        self._n_vocab = n_vocab

    @property
    def is_complete(self) -> bool:
        """Whether the text may end here."""
        return self._matcher.is_accepting()

    @property
    def is_over(self) -> bool:
        """Whether nothing can follow."""
        return self._matcher.is_stopped()

    def accept(self, token: int) -> None:
        """Take in a sampled token. Raises `GenerationError` when llguidance gives up."""
        self._matcher.consume_token(token)
        self._check()

    def take_forced(self) -> Sequence[int]:
        """Return the tokens that are the only way on, already taken in; often none."""
        forced = self._matcher.compute_ff_tokens()
        if forced:
            self._matcher.consume_tokens(forced)
            self._check()
        return forced

    def compute_forbidden(self, tokens_left: int) -> Tokens:
        """Return which tokens cannot come next. Raises `GenerationError` when llguidance gives up."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
        allowed = bits[: self._n_vocab].astype(np.bool_)
        if not allowed.any():
            raise GenerationError("The text cannot be kept to its format: no token of the vocabulary fits.")
        if self._closing is not None and tokens_left <= self._reserve_tokens:
            allowed = self._closing.narrow(allowed)
        return ~allowed

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GenerationError(
                f"The text cannot be kept to its format: {_reason(self._matcher.get_error())}"
            )


class ConstraintCompiler:
    """Compiles constraints for one vocabulary; safe to use from several threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._tokenizer: LLTokenizer | None = None
        self._closing: ClosingTokens | None = None

    def compile(self, constraint: Constraint) -> TextConstraint:
        """Return a fresh matcher. Raises `InvalidRequestError` for what is too large or no grammar."""
        tokenizer, closing = self._get_tools()
        matcher = LLMatcher(tokenizer, _to_grammar(constraint), log_level=0, limits=_LIMITS)
        _check_usable(matcher)
        n_vocab = self._vocabulary.n_tokens
        if isinstance(constraint, JsonSchemaConstraint):
            reserve = reserve_tokens(decode_schema_text(constraint.schema))
            return TextConstraint(matcher, n_vocab, closing=closing, reserve_tokens=reserve)
        return TextConstraint(matcher, n_vocab)

    def _get_tools(self) -> tuple[LLTokenizer, ClosingTokens]:
        """Build at the first use what takes up to a second for a large vocabulary."""
        with self._lock:
            if self._tokenizer is None or self._closing is None:
                self._tokenizer = build_tokenizer(self._vocabulary)
                self._closing = ClosingTokens(self._vocabulary)
            return self._tokenizer, self._closing


def _check_usable(matcher: LLMatcher) -> None:
    """Refuse what is no grammar, and one that no text begins: that shows when its first tokens are looked for."""
    if not matcher.is_error() and not matcher.is_stopped():
        matcher.compute_ff_tokens()
        matcher.compute_bitmask()
    if matcher.is_error():
        raise InvalidRequestError(
            f"The format cannot be used: {_reason(matcher.get_error())}", field="format"
        )


def _to_grammar(constraint: Constraint) -> str:
    match constraint:
        case JsonSchemaConstraint(schema):
            _check_size(schema, "schema", MAX_GRAMMAR_CHARACTERS)
            plain = json.dumps(drop_annotations(decode_schema_text(schema)))
            return LLMatcher.grammar_from_json_schema(plain, overrides=cast("JsonCompileOptions", JSON_FORM))
        case RegexConstraint(pattern):
            _check_size(pattern, "regular expression", MAX_REGEX_CHARACTERS)
            return LLMatcher.grammar_from_regex(pattern)
        case LarkConstraint(grammar):
            _check_size(grammar, "grammar", MAX_GRAMMAR_CHARACTERS)
            return LLMatcher.grammar_from_lark(grammar)


def _check_size(text: str, what: str, limit: int) -> None:
    if len(text) > limit:
        raise InvalidRequestError(
            f"The {what} has {len(text):,} characters; at most {limit:,} are allowed.", field="format"
        )


def _reason(text: str) -> str:
    """Return llguidance's complaint as one line; those of its regular expressions name their cause at the end."""
    lines = text.strip().splitlines() or ["it is not accepted"]
    if lines[0] == _NOTHING_FITS:
        return "no text can fulfil it."
    if _TOO_MUCH in lines[0]:
        return "it has too many alternatives; use fewer properties, or require them."
    if unheld := _UNHELD.match(lines[0]):
        keywords = " and ".join(unheld[1].split('", "'))
        return f"no text can be held to {keywords}; leave it out, and check the answer yourself."
    cause = next((line.removeprefix(_CAUSE) for line in lines if line.startswith(_CAUSE)), "")
    return f"{lines[0]} {cause}".strip()[:_MESSAGE_CHARACTERS].rstrip(".") + "."
