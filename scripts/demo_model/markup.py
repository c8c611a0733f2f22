"""The three control tokens and ChatML, as training text and as the chat template of the file."""

END_OF_TEXT = "<|endoftext|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
CONTROL_TOKENS = (END_OF_TEXT, IM_START, IM_END)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write_turn(role: str, content: str) -> str:
    """Return one finished ChatML turn."""
    return f"{IM_START}{role}\n{content}{IM_END}\n"


def open_assistant_turn() -> str:
    """Return what stands before an assistant's answer."""
    return f"{IM_START}assistant\n"
