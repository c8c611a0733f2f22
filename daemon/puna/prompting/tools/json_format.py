"""Formats whose calls are JSON objects between markers, or without any: Hermes, Llama, Granite and their kin."""

from collections.abc import Sequence
from dataclasses import dataclass

from puna.domain.chat import ToolCall
from puna.prompting.markers import find_markers
from puna.prompting.output import Reading
from puna.prompting.reader import TextReader
from puna.prompting.tools.call_object import read_calls, write_call, write_calls
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.grammar import Grammar, Offer


@dataclass(frozen=True)
class JsonFormat:
    """One object for each call, or one list for all of them."""

    openers: tuple[Opener, ...]
    begin: str
    """What a well-behaved model writes before a call, or before the list."""
    end: str
    between: str = "\n"
    """What stands between calls, markers included, where they are no list."""
    is_list: bool = False
    can_repeat: bool = True
    """Whether the model was made for several calls in one answer."""
    name_key: str = "name"
    arguments_key: str = "arguments"

    @property
    def markers(self) -> frozenset[str]:
        """The texts around calls."""
        return find_markers(text for opener in self.openers for text in (opener.text, opener.close))

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read one object or list, and those that follow it, mostly behind a comma or semicolon."""
        while True:
            yield from reader.take_blank()
            yield from read_calls(reader, opener, calls)
            reader.commit()
            yield from reader.take_blank()
            if opener.close and (yield from reader.accept(opener.close)):
                return
            if opener.close and (yield from reader.stands("{")):
                continue
            if not (yield from reader.accept(";")) and not (yield from reader.accept(",")):
                return

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as the model writes them."""
        keys = {"name_key": self.name_key, "arguments_key": self.arguments_key}
        if self.is_list:
            return f"{self.begin}{write_calls(calls, **keys)}{self.end}"
        return self.between.join(f"{self.begin}{write_call(call, **keys)}{self.end}" for call in calls)

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return an expression for such objects, with their arguments as the tools' schemas say."""
        call = grammar.choice([self._write_call_rule(grammar, offer) for offer in offers])
        count = max_calls if self.can_repeat else 1
        begin, end = grammar.literal(self.begin), grammar.literal(self.end)
        if self.is_list:
            begin, end = grammar.literal(f"{self.begin}["), grammar.literal(f"]{self.end}")
            return f"{begin} {grammar.repeat(call, ', ', count)} {end}"
        return grammar.repeat(grammar.rule(f"{begin} {call} {end}"), self.between, count)

    def _write_call_rule(self, grammar: Grammar, offer: Offer) -> str:
        head = write_call(
            ToolCall("", offer.name, "{}"), name_key=self.name_key, arguments_key=self.arguments_key
        )
        return f"{grammar.literal(head.removesuffix('{}}'))} {grammar.arguments(offer.schema)} {grammar.literal('}')}"


_FENCE = Opener("```json", "```", is_certain=False)
_TOOL_CALL = Opener("<tool_call>", "</tool_call>")

HERMES = JsonFormat(
    (_TOOL_CALL, Opener("<tools>", "</tools>", is_certain=False), _FENCE),
    "<tool_call>\n",
    "\n</tool_call>",
)
"""Hermes, Qwen 2.5 and 3, Granite 4, SmolLM3; small ones now and then mistake the tags."""

LLAMA = JsonFormat(
    (
        Opener("<|python_tag|>"),
        Opener("{", is_certain=False, is_leading=True),
        Opener("[{", is_certain=False, is_leading=True),
        Opener("\n{", is_certain=False),
        _FENCE,
    ),
    "",
    "",
    can_repeat=False,
    arguments_key="parameters",
)
"""Llama 3.1 to 3.3."""

GRANITE = JsonFormat((Opener("<|tool_call|>", "<|/tool_call|>"),), "<|tool_call|>", "", is_list=True)
"""Granite 3."""

PHI = JsonFormat(
    (Opener("<|tool_call|>", "<|/tool_call|>"),), "<|tool_call|>", "<|/tool_call|>", is_list=True
)
"""Phi 4 mini."""

NEMOTRON = JsonFormat((Opener("<TOOLCALL>", "</TOOLCALL>"),), "<TOOLCALL>", "</TOOLCALL>", is_list=True)
"""Nemotron Nano 2."""

APRIEL = JsonFormat((Opener("<tool_calls>", "</tool_calls>"),), "<tool_calls>", "</tool_calls>", is_list=True)
"""Apriel; MiniMax M1 writes lines instead of a list, which are read, too."""

COMMAND = JsonFormat(
    (Opener("<|START_ACTION|>", "<|END_ACTION|>"),),
    "<|START_ACTION|>",
    "<|END_ACTION|>",
    is_list=True,
    name_key="tool_name",
    arguments_key="parameters",
)
"""Command R7B and A."""
