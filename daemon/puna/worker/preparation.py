"""From a request to tokens: renders the chat template, tokenises, compiles the format; beside the step loop."""

import queue
import threading
from collections.abc import Callable

from msgspec import Struct

from puna.domain.generation import ChatPrompt, GenerationRequest, TextPrompt
from puna.engine.protocol import Generate
from puna.errors import ContextOverflowError, InvalidRequestError, PunaError
from puna.llama.vocabulary import Vocabulary
from puna.prompting.chat_template import ChatFormatter
from puna.prompting.stop_strings import check_stop_strings
from puna.worker.constraints import ConstraintCompiler, TextConstraint


class PreparedRequest(Struct, frozen=True):
    """A request whose prompt is tokens that fit the context."""

    request_id: int
    request: GenerationRequest
    tokens: list[int]
    stop: tuple[str, ...]
    """None for a constrained text: it ends where its format does."""
    constraint: TextConstraint | None


class Preparer:
    """Renders, tokenises and compiles, beside the thread that decodes: the vocabulary is read-only."""

    def __init__(self, vocabulary: Vocabulary, formatter: ChatFormatter, context_length: int) -> None:
        self._vocabulary = vocabulary
        self._formatter = formatter
        self._compiler = ConstraintCompiler(vocabulary)
        self._context_length = context_length

    def prepare(self, message: Generate) -> PreparedRequest:
        """Return the tokens of a request. Raises `ContextOverflowError`, `GenerationError` and their kin."""
        request = message.request
        tokens = self._tokenize(request.prompt)
        if not tokens:
            raise InvalidRequestError("The prompt is empty; give at least one character.", field="prompt")
        if len(tokens) >= self._context_length:
            raise ContextOverflowError(
                f"The prompt has {len(tokens)} tokens, and the context of this model holds "
                f"{self._context_length} for prompt and answer together; shorten the prompt or "
                "load the model with a longer context_length."
            )
        if request.constraint is not None:
            constraint = self._compiler.compile(request.constraint)
            return PreparedRequest(message.request_id, request, tokens, (), constraint)
        return PreparedRequest(message.request_id, request, tokens, self._stop_strings(request), None)

    def _stop_strings(self, request: GenerationRequest) -> tuple[str, ...]:
        check_stop_strings(request.stop)
        is_chat = isinstance(request.prompt, ChatPrompt)
        return request.stop + (self._formatter.stop_strings if is_chat else ())

    def _tokenize(self, prompt: TextPrompt | ChatPrompt) -> list[int]:
        match prompt:
            case TextPrompt(text):
                return self._tokenize_text(text)
            case ChatPrompt(messages):
                return self._tokenize_text(self._formatter.render(messages))

    def _tokenize_text(self, text: str) -> list[int]:
        """A prompt that names its beginning-of-text token gets no second one."""
        add_bos = not self._formatter.starts_with_bos(text)
        return self._vocabulary.tokenize(text, add_special=add_bos, parse_special=True)


class UnpreparedRequest(Struct, frozen=True):
    """A request whose preparation failed."""

    request_id: int
    error: PunaError


class PreparationThread:
    """Prepares requests in their order and hands each on, prepared or not."""

    def __init__(
        self, preparer: Preparer, hand_on: Callable[[PreparedRequest | UnpreparedRequest], None]
    ) -> None:
        """`hand_on` is called on this thread."""
        self._preparer = preparer
        self._hand_on = hand_on
        self._queue: queue.SimpleQueue[Generate] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="preparation", daemon=True).start()

    def submit(self, message: Generate) -> None:
        """Queue a request; returns at once."""
        self._queue.put(message)

    def _run(self) -> None:
        while True:
            message = self._queue.get()
            try:
                self._hand_on(self._preparer.prepare(message))
            except PunaError as error:
                self._hand_on(UnpreparedRequest(message.request_id, error))
