"""What a child said before it ended, fit for an error message. Pure."""

import re

_PATH = re.compile(r"(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\:]+[/\\])+")
_TRACE = re.compile(r"\s|Traceback|Fatal Python error|(Current t|T)hread 0x|Extension modules:")
"""Lines of a Python traceback, or of faulthandler's: they stay in the log and reach no client."""
_LINES = 3


def last_words(output: str) -> list[str]:
    """Return the last telling lines, without folders and without tracebacks."""
    told = [_PATH.sub("", line).strip() for line in output.splitlines() if not _TRACE.match(line)]
    return [line for line in told if line][-_LINES:]
