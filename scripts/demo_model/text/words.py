"""Word lists written as plain text."""


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a list that is written with blanks between them."""
    return tuple(text.split())
