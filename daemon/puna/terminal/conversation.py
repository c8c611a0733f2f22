"""A conversation as values: who said what, to which model, with which options. Pure."""

from typing import Literal

import msgspec
from msgspec import Struct

from puna.terminal.options import ChatOptions

Role = Literal["system", "user", "assistant"]


class Message(Struct, frozen=True, omit_defaults=True):
    """One turn."""

    role: Role
    content: str
    reasoning: str = ""
    """What the model thought before it said this; it is kept for people and not sent again."""


class Conversation(Struct, frozen=True, kw_only=True):
    """All of it; every change gives a new one."""

    model: str
    options: ChatOptions = ChatOptions()
    messages: tuple[Message, ...] = ()
    """Without the system text, which is an option."""

    def asking(self, question: str) -> "Conversation":
        """Return it with a question at its end."""
        return self._and(Message("user", question))

    def answered(self, content: str, reasoning: str = "") -> "Conversation":
        """Return it with an answer at its end."""
        return self._and(Message("assistant", content, reasoning))

    def cleared(self) -> "Conversation":
        """Return it without what was said."""
        return msgspec.structs.replace(self, messages=())

    def with_model(self, model: str) -> "Conversation":
        """Return it as a conversation with another model."""
        return msgspec.structs.replace(self, model=model)

    def with_options(self, options: ChatOptions) -> "Conversation":
        """Return it with other options."""
        return msgspec.structs.replace(self, options=options)

    @property
    def turns(self) -> tuple[Message, ...]:
        """What the model is sent: the system text, then everything that was said."""
        system = (Message("system", self.options.system),) if self.options.system else ()
        return (*system, *self.messages)

    def _and(self, message: Message) -> "Conversation":
        return msgspec.structs.replace(self, messages=(*self.messages, message))
