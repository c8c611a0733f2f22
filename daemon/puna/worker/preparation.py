"""From a request to what the engine needs: tokens, the compiled format, the reader of its text."""

import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from puna.domain.constraint import Constraint
from puna.domain.generation import ChatPrompt, GenerationRequest
from puna.engine.protocol import Count, Generate
from puna.errors import ContextOverflowError, GenerationError, InvalidRequestError, PunaError
from puna.llama.vocabulary import Vocabulary
from puna.prompting.chat_template import ChatFormatter
from puna.prompting.stop_strings import check_stop_strings
from puna.worker.constraints import ConstraintCompiler, TextConstraint
from puna.worker.mailbox import CountedPrompt, UnpreparedRequest
from puna.worker.prompts import PromptTokenizer, TokenizedPrompt
from puna.worker.text import TextAssembler

_THREADS = 2
_NO_PIECES: Mapping[int, bytes] = {}


class PreparedRequest(Struct, frozen=True):
    """A request whose prompt is tokens that fit the context."""

    request_id: int
    request: GenerationRequest
    tokens: list[int]
    text: TextAssembler
    """Reads the text; of this request alone."""
    constraint: TextConstraint | None = None
    marker_pieces: Mapping[int, bytes] = _NO_PIECES
    """Texts of control tokens that the reader needs to see; they have no text otherwise."""


class Preparer:
    """Renders, tokenises and compiles, beside the thread that decodes: the vocabulary is read-only."""

    def __init__(self, vocabulary: Vocabulary, formatter: ChatFormatter, context_length: int) -> None:
        self._vocabulary = vocabulary
        self._formatter = formatter
        self._prompts = PromptTokenizer(vocabulary, formatter)
        self._compiler = ConstraintCompiler(vocabulary)
        self._context_length = context_length

    def prepare(self, message: Generate | Count) -> PreparedRequest | CountedPrompt:
        """Return what the engine needs, or the tokens of a prompt, whether or not it fits.

        Raises `ContextOverflowError`, `GenerationError` and their kin.
        """
        match message:
            case Generate():
                return self._prepare(message)
            case Count(request_id, prompt):
                return CountedPrompt(request_id, len(self._prompts.tokenize(prompt).tokens))

    def _prepare(self, message: Generate) -> PreparedRequest:
        request = message.request
        check_stop_strings(request.stop)
        prompt = self._prompts.tokenize(request.prompt, has_format=request.constraint is not None)
        self._check_length(prompt.tokens)
        if isinstance(request.prompt, ChatPrompt):
            return self._prepare_chat(message.request_id, request, request.prompt, prompt)
        constraint = self._compile(request.constraint)
        text = TextAssembler(() if constraint else request.stop)
        return PreparedRequest(message.request_id, request, prompt.tokens, text, constraint)

    def _prepare_chat(
        self, request_id: int, request: GenerationRequest, chat: ChatPrompt, prompt: TokenizedPrompt
    ) -> PreparedRequest:
        """A constrained text ends where its format does, so stop strings do not count there."""
        constraint = self._compile(self._choose_constraint(request.constraint, chat, prompt))
        text = TextAssembler(
            () if constraint else request.stop + self._formatter.stop_strings,
            self._formatter.output_format.new_parser(prompt.text, prompt.tools),
            max_calls=None if chat.choice.is_parallel else 1,
        )
        return PreparedRequest(request_id, request, prompt.tokens, text, constraint, self._marker_pieces)

    def _choose_constraint(
        self, asked: Constraint | None, chat: ChatPrompt, prompt: TokenizedPrompt
    ) -> Constraint | None:
        """Return what the whole text must look like: a demanded call goes before a format that is asked for."""
        output_format = self._formatter.output_format
        calls = output_format.constrain_calls(prompt.text, prompt.tools, chat.choice, self._special_tokens)
        if calls is not None or asked is None:
            return calls
        return output_format.constrain_answer(
            prompt.text,
            asked,
            prompt.tools,
            chat.choice,
            self._special_tokens,
            may_think=bool(chat.is_thinking) or chat.effort not in {None, "none"},
        )

    def _compile(self, constraint: Constraint | None) -> TextConstraint | None:
        return None if constraint is None else self._compiler.compile(constraint)

    def _check_length(self, tokens: list[int]) -> None:
        if not tokens:
            raise InvalidRequestError("The prompt is empty; give at least one character.", field="prompt")
        if len(tokens) >= self._context_length:
            raise ContextOverflowError(
                f"The prompt has {len(tokens)} tokens, and the context of this model holds "
                f"{self._context_length} for prompt and answer together; shorten the prompt or "
                "load the model with a longer context_length."
            )

    @cached_property
    def _special_tokens(self) -> Mapping[str, int]:
        return self._vocabulary.find_special(self._formatter.output_format.markers)

    @cached_property
    def _marker_pieces(self) -> Mapping[int, bytes]:
        return {token: text.encode() for text, token in self._special_tokens.items()}


class _Message(Protocol):
    @property
    def request_id(self) -> int: ...


MessageT = TypeVar("MessageT", bound=_Message)
OutcomeT = TypeVar("OutcomeT")


class Preparation(Generic[MessageT, OutcomeT]):
    """Prepares requests in threads of its own and hands each on, prepared or not.

    They begin in their order, and as llama.cpp tokenises without the interpreter lock, a long one delays no other.
    """

    def __init__(
        self,
        prepare: Callable[[MessageT], OutcomeT],
        hand_on: Callable[[OutcomeT | UnpreparedRequest], None],
    ) -> None:
        """Both are called on these threads; `prepare` may raise whatever it likes."""
        self._prepare = prepare
        self._hand_on = hand_on
        self._queue: queue.SimpleQueue[MessageT] = queue.SimpleQueue()
        self._wanted: set[int] = set()
        for number in range(_THREADS):
            threading.Thread(target=self._run, name=f"preparation {number}", daemon=True).start()

    def submit(self, message: MessageT) -> None:
        """Queue a request; returns at once."""
        self._wanted.add(message.request_id)
        self._queue.put(message)

    def forget(self, request_id: int) -> None:
        """Leave a request out if its turn has not come: nobody wants it any more."""
        self._wanted.discard(request_id)

    def _run(self) -> None:
        while True:
            message = self._queue.get()
            if message.request_id in self._wanted:
                self._wanted.discard(message.request_id)
                self._hand_on(self._prepare_one(message))

    def _prepare_one(self, message: MessageT) -> OutcomeT | UnpreparedRequest:
        """The threads outlive every request: without them the worker would hang for everybody."""
        try:
            return self._prepare(message)
        except PunaError as error:
            return UnpreparedRequest(message.request_id, error)
        except BaseException:  # noqa: BLE001 - llguidance's panics are no `Exception`
            traceback.print_exc()
            unknown = GenerationError("The request could not be prepared; the worker's log says why.")
            return UnpreparedRequest(message.request_id, unknown)
