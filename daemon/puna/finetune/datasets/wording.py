"""The sentences of a report."""

from collections.abc import Sequence

from puna.domain.datasets import MAX_LABEL_CHARACTERS, MAX_LABELS, FindingCode

LONG_ROW_CHARACTERS = 8000
"""About two thousand tokens of English: more than most people can train on at once."""
LONG_LABEL_CHARACTERS = 64

_SHOWN_ROWS = 5
_SHOWN_LABEL = 40
_SHOWN_DETAIL = 200

_SENTENCES: dict[FindingCode, tuple[str, str]] = {
    FindingCode.BAD_QUOTES: ("Wrong quotes", 'write a quote within a text twice ("")'),
    FindingCode.WRONG_FIELD_COUNT: (
        "Wrong number of fields",
        "put quotes around a text with commas, and name a column of several labels `labels`",
    ),
    FindingCode.MISSING_LABEL: ("No label", "give each text a label, or remove the row"),
    FindingCode.INVALID_JSON: ("No valid JSON", "write one object on each line"),
    FindingCode.WRONG_FIELD: ("Wrong fields", "mend them, or remove the row"),
    FindingCode.MIXED_KINDS: ("Another kind of sample", "make a file for each kind"),
    FindingCode.NO_ANSWER: ("Nothing to learn", "add an answer, or remove the row"),
    FindingCode.TOO_MANY_LABELS: (
        f"More than {MAX_LABELS:,} different labels, the next",
        "a label is a category and not a text",
    ),
    FindingCode.LABEL_TOO_LONG: (
        f"A label of more than {MAX_LABEL_CHARACTERS} characters",
        "a label is a category and not a text",
    ),
    FindingCode.EMPTY_ROW: ("Nothing", "dropped"),
    FindingCode.NO_TEXT: ("A label without a text", "dropped"),
    FindingCode.DUPLICATE_ROWS: ("The same sample again", "remove it, unless it shall count twice"),
    FindingCode.CONTRADICTING_ROWS: ("The same text with other labels", "decide for one of them"),
    FindingCode.DUPLICATES_UNCHECKED: (
        "Too many samples to find all duplicates, not looked for",
        "look for them yourself",
    ),
    FindingCode.LONG_ROWS: (
        f"More than {LONG_ROW_CHARACTERS:,} characters",
        "divide such a text: what does not fit into the context is not trained on",
    ),
    FindingCode.REPEATED_LABELS: ("The same label twice", "it counts once"),
    FindingCode.LABELS_WITH_COMMAS: (
        "A comma within `label`",
        "it is one label; name the column `labels` where commas divide several",
    ),
    FindingCode.LONG_LABELS: (
        f"A label of more than {LONG_LABEL_CHARACTERS} characters",
        "put quotes around a text with commas",
    ),
    FindingCode.MISSING_FIELDS: ("Fewer fields than in the header", "only optional columns are missing"),
    FindingCode.DAMAGED_CHARACTERS: (
        "Characters that an earlier conversion has damaged (\ufffd)",
        "mend the text",
    ),
}


def describe_rows_finding(code: FindingCode, count: int, rows: Sequence[int], detail: str) -> str:
    """Return the sentence for something that was found in `count` rows; `detail` is about the first."""
    fact, advice = _SENTENCES[code]
    first = f"{', first' if count > 1 else ''}: {show_text(detail, _SHOWN_DETAIL)}" if detail else ""
    return f"{fact} {_where(count, rows)}{first}; {advice}."


def show_label(label: str) -> str:
    """Return a label for a message."""
    return f"`{show_text(label, _SHOWN_LABEL)}`"


def show_text(text: str, most: int) -> str:
    """Return a piece of somebody's file for a message: short, and without what a terminal would obey."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in text[:most])
    return shown if len(text) <= most else f"{shown}..."


def _where(count: int, rows: Sequence[int]) -> str:
    shown = ", ".join(map(str, rows[:_SHOWN_ROWS]))
    if count == 1:
        return f"in row {shown}"
    return f"in {count:,} rows ({shown}{', ...' if count > _SHOWN_ROWS else ''})"
