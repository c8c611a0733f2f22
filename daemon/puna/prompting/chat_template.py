"""Conversations to prompts, with the template that comes with a model or without one."""

from collections.abc import Sequence
from typing import Protocol

from puna.domain.chat import Message
from puna.errors import GenerationError, InvalidRequestError
from puna.prompting.plain import PLAIN_STOP_STRINGS, render_plain
from puna.prompting.sandbox.budget import Budget
from puna.prompting.sandbox.environment import TemplateRefusalError
from puna.prompting.sandbox.program import TemplateFailedError, TemplateProgram, one_line
from puna.prompting.turns import fold_system, has_system, keeps_system, rename_developer


class ChatFormatter(Protocol):
    """Turns conversations into prompts. Called from any thread; renders in bounded time and memory."""

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """Stop strings that belong to the format, to be added to those of each request."""
        ...

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """Return the prompt; with `add_generation_prompt` it ends where the assistant's text begins.

        Raises `InvalidRequestError` without messages, `GenerationError` when the template refuses or fails.
        """
        ...

    def starts_with_bos(self, prompt: str) -> bool:
        """Return whether the prompt has the beginning-of-text token as its first text already.

        Prompts are tokenised with special tokens parsed; the tokeniser's own beginning-of-text token belongs
        in front exactly where this is false. Nothing is stripped: the prompt is what the template says.
        """
        ...


def choose_formatter(source: str | None, bos_token: str = "", eos_token: str = "") -> ChatFormatter:
    """Return the formatter for a model's default template; the plain one where the model has none."""
    if source is None or not source.strip():
        return PlainFormatter(bos_token)
    return ChatTemplate(source, bos_token, eos_token)


class ChatTemplate:
    """A model's Jinja template, compiled once, rendered as transformers and llama-cpp-python do.

    A template that refuses a system message, or leaves its text out, gets it at the head of the first user
    message instead. One that does not know the role `developer` gets `system` for it.
    """

    def __init__(self, source: str, bos_token: str = "", eos_token: str = "") -> None:
        """Compile the template.

        A broken one does not raise here, since prompts without messages do not need it: `problem` says so,
        and each `render` raises.
        """
        self._bos_token = bos_token
        self._eos_token = eos_token
        self._knows_developer = "developer" in source
        self._program: TemplateProgram | None = None
        self.problem: str | None = None
        """Why the template cannot be used at all, as one sentence."""
        try:
            self._program = TemplateProgram(source)
        except TemplateFailedError as error:
            self.problem = f"This model's chat template {error}."

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """None: the templates of models end a turn with a token."""
        return ()

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """Return the prompt; see `ChatFormatter`."""
        _require_messages(messages)
        if self._program is None:
            raise GenerationError(self.problem or "This model's chat template cannot be used.")
        fitting = messages if self._knows_developer else rename_developer(messages)
        try:
            return self._render_with_system(self._program, fitting, add_generation_prompt)
        except TemplateRefusalError as refusal:
            raise GenerationError(
                f"This model's chat template refuses the messages: {one_line(str(refusal)).rstrip('.')}."
            ) from None
        except TemplateFailedError as error:
            raise GenerationError(f"This model's chat template {str(error).rstrip('.')}.") from None

    def starts_with_bos(self, prompt: str) -> bool:
        """Return whether the template wrote the beginning-of-text token itself; see `ChatFormatter`."""
        return bool(self._bos_token) and prompt.startswith(self._bos_token)

    def _render_with_system(
        self, program: TemplateProgram, messages: Sequence[Message], add_generation_prompt: bool
    ) -> str:
        if not has_system(messages):
            return self._run(program, messages, add_generation_prompt)
        try:
            prompt = self._run(program, messages, add_generation_prompt)
        except TemplateRefusalError:
            return self._run(program, fold_system(messages), add_generation_prompt)
        if keeps_system(prompt, messages):
            return prompt
        return self._run(program, fold_system(messages), add_generation_prompt)

    def _run(self, program: TemplateProgram, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        variables = {
            "messages": [{"role": message.role.value, "content": message.content} for message in messages],
            "add_generation_prompt": add_generation_prompt,
            "bos_token": self._bos_token,
            "eos_token": self._eos_token,
            "tools": None,
            "documents": None,
        }
        return program.run(variables, Budget(sum(len(message.content) for message in messages)))


class PlainFormatter:
    """The format of models without a template."""

    def __init__(self, bos_token: str = "") -> None:
        self._bos_token = bos_token

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The headings of the next turn."""
        return PLAIN_STOP_STRINGS

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """Return the prompt; see `ChatFormatter`."""
        _require_messages(messages)
        return render_plain(messages, add_generation_prompt=add_generation_prompt)

    def starts_with_bos(self, prompt: str) -> bool:
        """Return whether a prompt names the token itself; this format never does."""
        return bool(self._bos_token) and prompt.startswith(self._bos_token)


def _require_messages(messages: Sequence[Message]) -> None:
    if not messages:
        raise InvalidRequestError("messages must not be empty.", field="messages")
