"""How long a model stays in memory after a request, as Ollama's users write it. Pure."""

import math
import re

from puna.errors import InvalidRequestError

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"([+-]?)(?:{_NUMBER}|(?:{_PART.pattern})+)")
_FOR_EVER_S = 1e9
"""Some thirty years: no timer needs to run longer."""


def to_keep_alive_s(keep_alive: str | float | None) -> float | None:
    """Return seconds, infinity for what is below 0, or None where the setting decides.

    A number is seconds, a text one of Go's durations, such as `5m` or `1h30m`, or a number of seconds. Raises
    `InvalidRequestError` for other texts.
    """
    if keep_alive is None:
        return None
    seconds = _parse(keep_alive) if isinstance(keep_alive, str) else float(keep_alive)
    return math.inf if seconds < 0 or seconds > _FOR_EVER_S else seconds


def _parse(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidRequestError(
            "`keep_alive` must be a number of seconds or a duration such as 5m.", field="keep_alive"
        )
    parts = _PART.findall(text)
    size_s = sum(float(number) * _UNITS_S[unit] for number, unit in parts) if parts else abs(float(text))
    return -size_s if found[1] == "-" else size_s
