"""Pages of lists. Pure."""

from puna.errors import InvalidRequestError


def to_limit(given: str, most: int) -> int:
    """Return how many a page may have, from its query. Raises `InvalidRequestError` for a number that is none."""
    is_short = given.isascii() and given.isdecimal() and len(given) <= len(str(most))
    if not is_short or not 1 <= int(given) <= most:
        raise InvalidRequestError(f"`limit` must be a whole number from 1 to {most}.", field="limit")
    return int(given)
