"""One compiled template and what it does with conversations."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from puna.domain.chat import Message, Tool
from puna.prompting.conversation import count_characters, to_message_values, to_tool_values
from puna.prompting.sandbox.budget import Budget
from puna.prompting.sandbox.environment import TemplateRefusalError
from puna.prompting.sandbox.program import TemplateFailedError, TemplateProgram
from puna.prompting.thinking import to_thinking_variables
from puna.prompting.traits import TemplateTraits, Values, find_traits

OWN_VARIABLES = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token"}
)
_TRIAL_CHARACTERS = 4_096


class Template:
    """A template with its model's tokens. Used from any thread."""

    def __init__(self, source: str, bos_token: str, eos_token: str) -> None:
        """Compile the template. Raises `TemplateFailedError`."""
        self.source = source
        self._program = TemplateProgram(source)
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}

    @property
    def knows_developer(self) -> bool:
        """Whether the role `developer` means something to it."""
        return "developer" in self.source

    @property
    def variables(self) -> frozenset[str]:
        """The names in it that are not always given: what can be set, and its own."""
        return self._program.names - OWN_VARIABLES

    def to_thinking_variables(self, *, is_wanted: bool | None, effort: str | None) -> dict[str, object]:
        """Return what the template must be told for a model to think, or not."""
        return to_thinking_variables(self.source, self.variables, is_wanted=is_wanted, effort=effort)

    @cached_property
    def traits(self) -> TemplateTraits:
        """What it does with tools; the first use tries it, within the limits of one rendering."""
        budget = Budget(_TRIAL_CHARACTERS)

        def render(messages: Values, tools: Values | None) -> str | None:
            try:
                return self._run(messages, tools, {}, budget, add_generation_prompt=True)
            except (TemplateRefusalError, TemplateFailedError):
                return None

        return find_traits(render, self.source)

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        variables: Mapping[str, object],
        *,
        add_generation_prompt: bool,
    ) -> str:
        """Return the prompt.

        Raises `TemplateRefusalError`, `TemplateFailedError`, and `InvalidRequestError` for a bad tool.
        """
        has_calls = any(message.tool_calls or message.tool_call_id for message in messages)
        traits = self.traits if tools or has_calls else TemplateTraits()
        known = {name: variables[name] for name in variables.keys() & self.variables}
        return self._run(
            to_message_values(messages, traits),
            to_tool_values(tools) or None,
            known,
            Budget(count_characters(messages, tools) + len(str(known))),
            add_generation_prompt=add_generation_prompt,
        )

    def _run(
        self,
        messages: Values,
        tools: Values | None,
        variables: Mapping[str, object],
        budget: Budget,
        *,
        add_generation_prompt: bool,
    ) -> str:
        values = {
            **variables,
            **self._tokens,
            "messages": messages,
            "tools": tools,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        return self._program.run(values, budget)
