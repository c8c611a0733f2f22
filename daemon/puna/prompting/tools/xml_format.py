"""Formats whose calls are tags: Qwen 3 Coder, Seed, GLM and MiniMax. Each parameter is text of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from puna.domain.chat import ToolCall
from puna.prompting.markers import find_markers
from puna.prompting.output import Reading
from puna.prompting.reader import TextReader, Waiting
from puna.prompting.tools.call_object import read_calls
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.schemas import properties_of, types_of
from puna.prompting.tools.values import quote, read_value
from puna.prompting.tools.xml_grammar import write_parameters
from puna.prompting.tools.xml_values import read_parameter, to_texts

_NAME = re.compile(r"[^\s<>\"'{}]+")
_KEY = re.compile(r"[^<>\"\n]+")


@dataclass(frozen=True)
class XmlFormat:
    """The tags of one family. Blanks between tags do not matter when reading; those here are for writing."""

    openers: tuple[Opener, ...]
    begin: str
    end: str
    function: str
    """Before the name; empty where the name follows the opener at once."""
    name_end: str
    parameter: str
    key_end: str
    value: str
    """Between the key and its value."""
    value_end: str
    function_end: str
    between: str = "\n"

    @property
    def markers(self) -> frozenset[str]:
        """All tags."""
        tags = (
            self.begin,
            self.end,
            self.parameter,
            self.key_end,
            self.value,
            self.value_end,
            self.function_end,
        )
        return find_markers((*tags, *(opener.text for opener in self.openers)))

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read the functions up to the closing tag; JSON within the tags, too."""
        yield from reader.take_blank()
        if (yield from reader.stands("{")):
            yield from read_calls(reader, opener, calls)
        else:
            yield from self._read_functions(reader, opener, calls)
        reader.commit()
        yield from reader.take_blank()
        if opener.close:
            yield from reader.accept(opener.close)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as the model writes them."""
        return self.between.join(f"{self.begin}{self._write_call(call)}{self.end}" for call in calls)

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return an expression for such calls: required parameters in the schema's order, others if wanted."""
        call = grammar.choice([self._write_rule(grammar, offer) for offer in offers])
        whole = grammar.rule(f"{grammar.literal(self.begin)} {call} {grammar.literal(self.end)}")
        return grammar.repeat(whole, self.between, max_calls)

    def _write_rule(self, grammar: Grammar, offer: Offer) -> str:
        head = grammar.literal(f"{self.function}{offer.name}{self.name_end}")
        tags = (self.parameter, f"{self.key_end}{self.value}", self.value_end)
        parameters = write_parameters(grammar, offer.schema, *tags)
        return grammar.rule(f"{head} {parameters} {grammar.literal(self.function_end)}")

    def _write_call(self, call: ToolCall) -> str:
        parameters = "".join(
            f"{self.parameter}{key}{self.key_end}{self.value}{text}{self.value_end}"
            for key, text in to_texts(call.arguments).items()
        )
        return f"{self.function}{call.name}{self.name_end}{parameters}{self.function_end}"

    def _read_functions(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read functions one after the other, where the tags around them allow for several."""
        function, function_end = self.function.strip(), self.function_end.strip()
        if function and not opener.text.endswith(function):
            yield from reader.expect(function)
        while True:
            yield from self._read_function(reader, opener, calls)
            reader.commit()
            if not function_end:
                return
            yield from reader.take_blank()
            if not opener.close or not function or not (yield from reader.accept(function)):
                return

    def _read_function(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        name = yield from reader.take_run(_NAME)
        calls.check(name, opener)
        yield from reader.expect(self.name_end.strip())
        yield from reader.take_blank()
        if (yield from reader.stands("{")):
            yield from calls.stream_object(name, read_value(reader))
            yield from reader.take_blank()
            yield from reader.accept(self.function_end.strip())
            return
        yield from self._read_parameters(reader, opener, calls, name)

    def _read_parameters(self, reader: TextReader, opener: Opener, calls: Calls, name: str) -> Reading[None]:
        schema = calls.schema_of(name)
        fields = properties_of(schema)
        separator = "{"
        while not (yield from self._accept_end(reader, opener)):
            yield from reader.expect(self.parameter.strip())
            key = yield from self._read_key(reader)
            if separator == "{":
                yield calls.begin(name)
            yield calls.argue(f"{separator}{quote(key)}:")
            types = types_of(fields.get(key, {}), schema)
            yield from calls.stream(read_parameter(reader, self.value_end.strip(), types))
            separator = ","
            yield from reader.take_blank()
        if separator == "{":
            yield calls.begin(name)
        yield calls.argue("{}" if separator == "{" else "}")

    def _accept_end(self, reader: TextReader, opener: Opener) -> Waiting[bool]:
        function_end = self.function_end.strip()
        if function_end:
            return (yield from reader.accept(function_end))
        return (yield from reader.stands(opener.close))

    def _read_key(self, reader: TextReader) -> Waiting[str]:
        key = (yield from reader.take_run(_KEY)).strip()
        yield from reader.expect(self.key_end.strip())
        if self.value.strip():
            yield from reader.take_blank()
            yield from reader.expect(self.value.strip())
        return key


QWEN_CODER = XmlFormat(
    (Opener("<tool_call>", "</tool_call>"), Opener("<function=", "</tool_call>", is_certain=False)),
    begin="<tool_call>\n",
    end="\n</tool_call>",
    function="<function=",
    name_end=">\n",
    parameter="<parameter=",
    key_end=">",
    value="\n",
    value_end="\n</parameter>\n",
    function_end="</function>",
)
"""Qwen 3 Coder and 3.5, Nemotron 3; now and then the first tag is forgotten."""

SEED = XmlFormat(
    (Opener("<seed:tool_call>", "</seed:tool_call>"),),
    begin="<seed:tool_call>\n",
    end="\n</seed:tool_call>",
    function="<function=",
    name_end=">\n",
    parameter="<parameter=",
    key_end=">",
    value="",
    value_end="</parameter>\n",
    function_end="</function>",
)
"""Seed OSS."""

GLM = XmlFormat(
    (Opener("<tool_call>", "</tool_call>"),),
    begin="<tool_call>",
    end="</tool_call>",
    function="",
    name_end="\n",
    parameter="<arg_key>",
    key_end="</arg_key>",
    value="\n<arg_value>",
    value_end="</arg_value>\n",
    function_end="",
)
"""GLM 4.5 and later."""

MINIMAX = XmlFormat(
    (Opener("<minimax:tool_call>", "</minimax:tool_call>"),),
    begin="<minimax:tool_call>\n",
    end="</minimax:tool_call>",
    function='<invoke name="',
    name_end='">\n',
    parameter='<parameter name="',
    key_end='">',
    value="",
    value_end="</parameter>\n",
    function_end="</invoke>\n",
)
"""MiniMax M2."""
