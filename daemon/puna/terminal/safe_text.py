"""Text from a model, made safe for a terminal: it must not move the cursor, set the title or answer questions."""

_KEPT = {"\n", "\t"}
_PICTURES = 0x2400
"""Where Unicode has a visible picture for each control character."""


def _pictures() -> dict[int, str | None]:
    table: dict[int, str | None] = {code: chr(_PICTURES + code) for code in range(0x20)}
    table |= {0x7F: "\u2421"}
    table |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")
    table |= {ord(kept): kept for kept in _KEPT}
    # A lone carriage return would overwrite its line, and the one of CR LF is the line's end anyway.
    table[ord("\r")] = None
    # Half of a character pair, which no encoding of a terminal can write.
    return table | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


_TABLE = _pictures()


def to_safe_text(text: str) -> str:
    """Return the text with control characters made visible; line ends and tabs stay. Works piece by piece."""
    return text.translate(_TABLE)
