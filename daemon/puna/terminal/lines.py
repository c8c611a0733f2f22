'''Messages of several lines, as they are typed: `"""` around them, or a backslash at the end of a line. Pure.'''

_FENCE = '"""'


def is_complete(text: str) -> bool:
    """Return whether Enter sends this, or begins a further line."""
    if text.lstrip().startswith(_FENCE):
        rest = text.strip()
        return len(rest) >= 2 * len(_FENCE) and rest.endswith(_FENCE)
    return not _goes_on(text.rpartition("\n")[2])


def to_message(text: str) -> str:
    """Return what is meant: without the quotes around it, or the backslashes before line ends."""
    stripped = text.strip()
    if stripped.startswith(_FENCE) and is_complete(text):
        return stripped[len(_FENCE) : -len(_FENCE)].strip("\n")
    *lines, last = stripped.split("\n")
    return "\n".join([*(line[:-1] if _goes_on(line) else line for line in lines), last])


def _goes_on(line: str) -> bool:
    """A backslash that is itself escaped, as in a Windows path's `\\\\`, ends nothing."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1
