"""Text made safe: for a terminal, which it must not steer, and from one, for programs that take UTF-8."""

_HALVES: dict[int, str | None] = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
"""Halves of character pairs, which no encoding of a terminal can write."""
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
    # Unicode's own line ends: terminals show nothing there, and Markdown's parser knows none but the usual one.
    table |= dict.fromkeys((0x2028, 0x2029), "\n")
    return table | _HALVES


_TABLE = _pictures()


def to_safe_text(text: str) -> str:
    """Return the text with control characters made visible; line ends and tabs stay. Works piece by piece."""
    return text.translate(_TABLE)


def to_utf8_text(typed: str) -> str:
    """Return what was typed without bytes that are no UTF-8, which Python keeps as halves of character pairs."""
    return typed.translate(_HALVES)
