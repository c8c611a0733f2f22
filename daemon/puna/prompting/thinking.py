"""Whether and how long a model thinks, said in the variables that its template knows."""

from collections.abc import Mapping, Sequence

_EFFORT = "reasoning_effort"
_EFFORTS: Mapping[str, tuple[Sequence[str], str]] = {
    "none": (("none", "no_think", "minimal"), "low"),
    "minimal": (("minimal", "no_think"), "low"),
    "low": ((), "low"),
    "medium": (("medium", "high"), "medium"),
    "high": ((), "high"),
    "xhigh": (("xhigh", "max"), "high"),
    "max": (("max", "xhigh"), "high"),
}
"""OpenAI's efforts: the words of a template that come nearest, and the one that is understood without a list."""


def to_thinking_variables(
    source: str, names: frozenset[str], *, is_wanted: bool | None = None, effort: str | None = None
) -> dict[str, object]:
    """Return the variables for a template that uses these names; none for what it does not know.

    `effort` is one of OpenAI's, or a word of the template's own; `none` means not to think. Without a switch
    of its own a template that knows efforts gets the least one for what is not wanted.
    """
    if is_wanted is None and effort is not None:
        is_wanted = effort != "none"
    variables: dict[str, object] = {}
    if is_wanted is not None:
        variables |= {"enable_thinking": is_wanted, "thinking": is_wanted, "skip_thinking": not is_wanted}
    if is_wanted is False:
        variables |= {"thinking_budget": 0, _EFFORT: _choose_effort(source, "none")}
    elif effort is not None:
        variables[_EFFORT] = _choose_effort(source, effort)
    return {name: value for name, value in variables.items() if name in names}


def _choose_effort(source: str, effort: str) -> str:
    words, usual = _EFFORTS.get(effort, ((), effort))
    return next((word for word in words if f"'{word}'" in source or f'"{word}"' in source), usual)
