"""Conversations to prompts, with the template that comes with a model or without one."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Protocol

from puna.domain.chat import Message, Tool, ToolChoice
from puna.errors import GenerationError, InvalidRequestError
from puna.prompting.output_format import OutputFormat, choose_output_format
from puna.prompting.plain import PLAIN_STOP_STRINGS, render_plain
from puna.prompting.sandbox.environment import TemplateRefusalError
from puna.prompting.sandbox.program import TemplateFailedError, one_line
from puna.prompting.template import Template
from puna.prompting.tool_turns import fit_tool_turns, has_tool_turns, teach_tools, write_calls_out
from puna.prompting.turns import fold_system, has_system, keeps_system, rename_developer

FREE_CHOICE = ToolChoice()
_NO_VARIABLES: Mapping[str, object] = {}


class ChatFormatter(Protocol):
    """Turns conversations into prompts. Called from any thread; renders in bounded time and memory."""

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """Stop strings that belong to the format, to be added to those of each request."""
        ...

    @property
    def output_format(self) -> OutputFormat:
        """How the text that follows a prompt is read. The first use tries the template, which takes a moment."""
        ...

    @property
    def variables(self) -> frozenset[str]:
        """Names in the template that `render` may be given values for; names of its own are among them."""
        ...

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Tool] = (),
        choice: ToolChoice = FREE_CHOICE,
        variables: Mapping[str, object] = _NO_VARIABLES,
    ) -> str:
        """Return the prompt; with `add_generation_prompt` it ends where the assistant's text begins.

        `tools` are those that the model may call; where its template does not show them, a system message does,
        which says what `choice` demands. `variables` are values of JSON for names that the template may know,
        such as `enable_thinking`; those that it does not know do nothing.

        Raises `InvalidRequestError` without messages or for a tool without a proper schema, `GenerationError`
        when the template refuses or fails.
        """
        ...

    def to_thinking_variables(
        self, *, is_wanted: bool | None = None, effort: str | None = None
    ) -> Mapping[str, object]:
        """Return the variables for `render` that make a model think, or not, as far as its template can say.

        `effort` is one of OpenAI's (`none` to `max`) or a word of the template's own.
        """
        ...

    def starts_with_bos(self, prompt: str) -> bool:
        """Return whether the prompt has the beginning-of-text token as its first text already.

        Prompts are tokenised with special tokens parsed; the tokeniser's own beginning-of-text token belongs
        in front exactly where this is false. Nothing is stripped: the prompt is what the template says.
        """
        ...


def choose_formatter(
    source: str | None, bos_token: str = "", eos_token: str = "", *, tool_source: str | None = None
) -> ChatFormatter:
    """Return the formatter for a model's default template; the plain one where the model has none.

    `tool_source` is the model's further template `tool_use`, for conversations with tools.
    """
    if source is None or not source.strip():
        return PlainFormatter(bos_token)
    return ChatTemplate(source, bos_token, eos_token, tool_source=tool_source)


class ChatTemplate:
    """A model's Jinja template, compiled once, rendered as transformers and llama-cpp-python do.

    A template that refuses a system message, or leaves its text out, gets it at the head of the first user
    message instead. One that does not know the role `developer` gets `system` for it. One that shows no tools,
    calls or results gets them as text.
    """

    def __init__(
        self, source: str, bos_token: str = "", eos_token: str = "", *, tool_source: str | None = None
    ) -> None:
        """Compile the template.

        A broken one does not raise here, since prompts without messages do not need it: `problem` says so,
        and each `render` raises. A broken template for tools is left aside.
        """
        self._bos_token = bos_token
        self._template: Template | None = None
        self.problem: str | None = None
        """Why the template cannot be used at all, as one sentence."""
        try:
            self._template = Template(source, bos_token, eos_token)
        except TemplateFailedError as error:
            self.problem = f"This model's chat template {error}."
        self._tool_template = self._template
        if tool_source is not None and tool_source.strip():
            with suppress(TemplateFailedError):
                self._tool_template = Template(tool_source, bos_token, eos_token)

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """None: the templates of models end a turn with a token."""
        return ()

    @cached_property
    def output_format(self) -> OutputFormat:
        """How the text that follows a prompt is read; see `ChatFormatter`."""
        template = self._tool_template
        if template is None:
            return choose_output_format(None, knows_tools=False)
        return choose_output_format(template.source, knows_tools=template.traits.shows_tools)

    @cached_property
    def variables(self) -> frozenset[str]:
        """Names in the template; see `ChatFormatter`."""
        templates = (self._template, self._tool_template)
        return frozenset(name for template in templates if template for name in template.variables)

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Tool] = (),
        choice: ToolChoice = FREE_CHOICE,
        variables: Mapping[str, object] = _NO_VARIABLES,
    ) -> str:
        """Return the prompt; see `ChatFormatter`."""
        _require_messages(messages)
        has_tools = bool(tools) or has_tool_turns(messages)
        template = self._tool_template if has_tools else self._template
        if self._template is None or template is None:
            raise GenerationError(self.problem or "This model's chat template cannot be used.")
        fitting = messages if template.knows_developer else rename_developer(messages)
        if has_tools and not template.traits.shows_tools:
            fitting, tools = teach_tools(fitting, tools, choice), ()
        if has_tools:
            fitting = fit_tool_turns(fitting, template.traits, self.output_format.tools.write_calls)

        def render(turns: Sequence[Message]) -> str:
            return template.render(turns, tools, variables, add_generation_prompt=add_generation_prompt)

        try:
            return _render_with_system(render, fitting)
        except TemplateRefusalError as refusal:
            raise GenerationError(
                f"This model's chat template refuses the messages: {one_line(str(refusal)).rstrip('.')}."
            ) from None
        except TemplateFailedError as error:
            raise GenerationError(f"This model's chat template {str(error).rstrip('.')}.") from None

    def to_thinking_variables(
        self, *, is_wanted: bool | None = None, effort: str | None = None
    ) -> Mapping[str, object]:
        """Return the variables that make a model think, or not; see `ChatFormatter`."""
        templates = dict.fromkeys(template for template in (self._template, self._tool_template) if template)
        said = [template.to_thinking_variables(is_wanted=is_wanted, effort=effort) for template in templates]
        return {name: value for variables in said for name, value in variables.items()}

    def starts_with_bos(self, prompt: str) -> bool:
        """Return whether the template wrote the beginning-of-text token itself; see `ChatFormatter`."""
        return bool(self._bos_token) and prompt.startswith(self._bos_token)


def _render_with_system(render: Callable[[Sequence[Message]], str], messages: Sequence[Message]) -> str:
    if not has_system(messages):
        return render(messages)
    try:
        prompt = render(messages)
    except TemplateRefusalError:
        return render(fold_system(messages))
    if keeps_system(prompt, messages):
        return prompt
    return render(fold_system(messages))


class PlainFormatter:
    """The format of models without a template."""

    def __init__(self, bos_token: str = "") -> None:
        self._bos_token = bos_token

    variables: frozenset[str] = frozenset()

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The headings of the next turn."""
        return PLAIN_STOP_STRINGS

    @cached_property
    def output_format(self) -> OutputFormat:
        """The generic format; see `ChatFormatter`."""
        return choose_output_format(None, knows_tools=False)

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Tool] = (),
        choice: ToolChoice = FREE_CHOICE,
        variables: Mapping[str, object] = _NO_VARIABLES,
    ) -> str:
        """Return the prompt; see `ChatFormatter`."""
        del variables
        _require_messages(messages)
        taught = teach_tools(messages, tools, choice)
        turns = write_calls_out(taught, self.output_format.tools.write_calls)
        return render_plain(turns, add_generation_prompt=add_generation_prompt)

    def to_thinking_variables(
        self, *, is_wanted: bool | None = None, effort: str | None = None
    ) -> Mapping[str, object]:
        """Return nothing: there is no template to tell."""
        del is_wanted, effort
        return {}

    def starts_with_bos(self, prompt: str) -> bool:
        """Return whether a prompt names the token itself; this format never does."""
        return bool(self._bos_token) and prompt.startswith(self._bos_token)


def _require_messages(messages: Sequence[Message]) -> None:
    if not messages:
        raise InvalidRequestError("messages must not be empty.", field="messages")
