"""What has come of a polled request: its texts as they grow. Used from the event loop only."""

import asyncio
from collections.abc import Sequence

from puna.domain.generation import Completion, Finished, Usage
from puna.errors import PunaError


class Progress:
    """Texts under way, one for each prompt; whoever polls sees them so far."""

    def __init__(self, count: int) -> None:
        """`count` is that of the prompts."""
        self._parts: list[list[str]] = [[] for _ in range(count)]
        self._completions: list[Completion | None] = [None] * count
        self._reported = Usage()
        self._accepted = asyncio.Event()
        self._error: PunaError | None = None
        self.size_bytes = 0
        """What the texts take in memory, about."""

    @property
    def count(self) -> int:
        """The number of prompts."""
        return len(self._parts)

    @property
    def completions(self) -> Sequence[Completion | None]:
        """The texts that are whole, None for the others."""
        return self._completions

    @property
    def has_begun(self) -> bool:
        """Whether any text is there, be it an empty one that is whole."""
        return any(self._parts) or any(self._completions)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._error is not None or all(self._completions)

    def text_of(self, index: int) -> str:
        """Return the text of one prompt so far."""
        return "".join(self._parts[index])

    def finished_prefix(self) -> Sequence[Completion]:
        """Return the whole texts before the first that is not."""
        done: list[Completion] = []
        for completion in self._completions:
            if completion is None:
                break
            done.append(completion)
        return done

    async def wait_accepted(self) -> None:
        """Wait until a model is ready for the request, or an error has come instead."""
        await self._accepted.wait()

    def check(self) -> None:
        """Raise what ended the request, if it failed."""
        if self._error is not None:
            raise self._error

    def take_usage(self) -> Usage:
        """Return the tokens of texts that became whole since the last call."""
        total = sum((each.finished.usage for each in self._completions if each), start=Usage())
        before, self._reported = self._reported, total
        return Usage(
            total.prompt_tokens - before.prompt_tokens,
            total.completion_tokens - before.completion_tokens,
            total.cached_tokens - before.cached_tokens,
        )

    def accept(self) -> None:
        """Note that a model is ready."""
        self._accepted.set()

    def add_text(self, index: int, text: str) -> None:
        """Note more text of one prompt."""
        self._parts[index].append(text)
        self.size_bytes += len(text) * 4

    def finish(self, index: int, finished: Finished) -> None:
        """Note that the text of one prompt is whole."""
        text = self.text_of(index)
        self._parts[index] = [text]  # a text in one piece takes much less than in a thousand
        self._completions[index] = Completion(text, finished)

    def fail(self, error: PunaError) -> None:
        """Note what ended the request."""
        self._error = error
        self._accepted.set()
