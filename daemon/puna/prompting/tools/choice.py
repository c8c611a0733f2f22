"""Which format of tool calls a model writes, by its chat template."""

from collections.abc import Sequence

from puna.prompting.tools.deepseek import CALL as DEEPSEEK_CALL
from puna.prompting.tools.deepseek import DeepSeekFormat
from puna.prompting.tools.format import ToolFormat
from puna.prompting.tools.gemma import GemmaFormat
from puna.prompting.tools.generic import GenericFormat
from puna.prompting.tools.harmony import HarmonyFormat
from puna.prompting.tools.json_format import APRIEL, COMMAND, GRANITE, HERMES, LLAMA, NEMOTRON, PHI
from puna.prompting.tools.mistral import MistralFormat
from puna.prompting.tools.pythonic import LFM
from puna.prompting.tools.xml_format import GLM, MINIMAX, QWEN_CODER, SEED

_HARMONY = HarmonyFormat()
_GENERIC = GenericFormat()
_BY_TEXTS: Sequence[tuple[tuple[str, ...], ToolFormat]] = (
    ((DEEPSEEK_CALL, "```json"), DeepSeekFormat(has_fences=True)),
    ((DEEPSEEK_CALL,), DeepSeekFormat(has_fences=False)),
    (("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"), MistralFormat(has_names=True, has_ids=True)),
    (("[TOOL_CALLS]", "[ARGS]"), MistralFormat(has_names=True)),
    (("[TOOL_CALLS]",), MistralFormat(has_names=False)),
    (("<seed:tool_call>", "<function="), SEED),
    (("<minimax:tool_call>",), MINIMAX),
    (("<tool_call>", "<function="), QWEN_CODER),
    (("<tool_call>", "<arg_key>"), GLM),
    (("<|tool_call>", "<tool_call|>"), GemmaFormat()),
    (("<|tool_call_start|>",), LFM),
    (("<|im_start|>", "<|tool_list_start|>"), LFM),
    (("<|im_start|>", "List of tools: ["), LFM),
    (("<|START_ACTION|>",), COMMAND),
    (("<TOOLCALL>",), NEMOTRON),
    (("<|tool_call|>", "<|/tool_call|>"), PHI),
    (("<|tool_call|>",), GRANITE),
    (("<tool_calls>",), APRIEL),
    (("<tool_call>",), HERMES),
    (("<|python_tag|>",), LLAMA),
    (("<|start_header_id|>", '"parameters"'), LLAMA),
)
"""The first whose texts are all in the template."""


def choose_tool_format(source: str | None, *, knows_tools: bool = True) -> ToolFormat:
    """Return the format that a template teaches; the generic one where it teaches none, or knows no tools.

    gpt-oss has its format for all that it says, so that stays.
    """
    source = source or ""
    if "<|channel|>" in source and "<|message|>" in source:
        return _HARMONY
    if not knows_tools:
        return _GENERIC
    return next((found for texts, found in _BY_TEXTS if all(text in source for text in texts)), _GENERIC)
