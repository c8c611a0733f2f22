"""One line of JSONL: an object, and the sample that its fields make."""

from typing import TypeVar

import msgspec

from puna.domain.datasets import (
    Completion,
    Conversation,
    FindingCode,
    Labelled,
    PlainText,
    Sample,
    SampleKind,
)
from puna.finetune.datasets.csv_rows import split_labels
from puna.finetune.datasets.jsonl_messages import decode_messages, has_answer
from puna.finetune.datasets.wording import show_label

Fields = dict[str, msgspec.Raw]

_T = TypeVar("_T")
_Labels = str | list[str | int]

_FIELDS: dict[SampleKind, frozenset[str]] = {
    SampleKind.CONVERSATION: frozenset({"messages"}),
    SampleKind.COMPLETION: frozenset({"prompt", "completion"}),
    SampleKind.LABELLED: frozenset({"text", "label", "labels"}),
    SampleKind.PLAIN_TEXT: frozenset({"text"}),
}
KNOWN_FIELDS = frozenset[str]().union(*_FIELDS.values())

_FIELDS_DECODER = msgspec.json.Decoder(Fields)
_STRING_DECODER = msgspec.json.Decoder(str)
_LABEL_DECODER: msgspec.json.Decoder[str | int] = msgspec.json.Decoder(str | int)
_LABELS_DECODER: msgspec.json.Decoder[_Labels] = msgspec.json.Decoder(_Labels)
_NULL = msgspec.Raw(b"null")


class UnusableRowError(Exception):
    """A row is no sample. Without a detail it is dropped, with one it must be mended."""

    def __init__(self, code: FindingCode, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


def decode_object(text: str) -> Fields:
    """Return the fields of a JSON object that are not null. Raises `UnusableRowError`."""
    try:
        fields = _FIELDS_DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise UnusableRowError(FindingCode.INVALID_JSON, "the line is no JSON object") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnusableRowError(FindingCode.INVALID_JSON, _describe(error)) from error
    return {name: raw for name, raw in fields.items() if raw != _NULL}


def find_kind(fields: Fields) -> SampleKind:
    """Return what kind of sample an object is. Raises `UnusableRowError` where that is not clear."""
    kinds = [kind for kind, names in _FIELDS.items() if names & fields.keys()]
    if kinds == [SampleKind.LABELLED, SampleKind.PLAIN_TEXT]:
        return SampleKind.LABELLED if {"label", "labels"} & fields.keys() else SampleKind.PLAIN_TEXT
    if len(kinds) == 1 and kinds[0] is not SampleKind.LABELLED:
        return kinds[0]
    names = " and ".join(f"`{name}`" for name in fields if name in KNOWN_FIELDS)
    if len(kinds) > 1:
        raise UnusableRowError(FindingCode.WRONG_FIELD, f"{names} together, of which a sample has one kind")
    raise UnusableRowError(
        FindingCode.WRONG_FIELD,
        f"{names or 'no field'} but none of `text`, `prompt` with `completion`, and `messages`",
    )


def read_sample(kind: SampleKind, fields: Fields) -> tuple[Sample, tuple[FindingCode, ...]]:
    """Return the sample of an object of a kind, and warnings. Raises `UnusableRowError`."""
    match kind:
        case SampleKind.LABELLED:
            return _read_labelled(fields)
        case SampleKind.PLAIN_TEXT:
            return _read_text(fields), ()
        case SampleKind.COMPLETION:
            return _read_completion(fields), ()
        case SampleKind.CONVERSATION:
            return _read_conversation(fields), ()


def _describe(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    if "truncated" in str(error):
        return "the JSON ends too early, or holds half a character such as \\ud83d"
    return str(error)


def _read_text(fields: Fields) -> PlainText:
    text = _string(fields, "text")
    if not text.strip():
        raise UnusableRowError(FindingCode.EMPTY_ROW)
    return PlainText(text)


def _read_labelled(fields: Fields) -> tuple[Labelled, tuple[FindingCode, ...]]:
    text = _string(fields, "text").strip()
    labels = _read_labels(fields)
    if not text:
        raise UnusableRowError(FindingCode.NO_TEXT if labels else FindingCode.EMPTY_ROW)
    if not labels:
        raise UnusableRowError(FindingCode.MISSING_LABEL, "a text without a label")
    distinct = tuple(dict.fromkeys(labels))
    is_repeated = len(distinct) < len(labels)
    return Labelled(text, distinct), (FindingCode.REPEATED_LABELS,) if is_repeated else ()


def _read_labels(fields: Fields) -> list[str]:
    if "label" not in fields:
        labels = _decode(fields, "labels", _LABELS_DECODER, "a list of strings")
        return split_labels(labels) if isinstance(labels, str) else _check_commas(_strip(labels))
    if "labels" in fields:
        raise UnusableRowError(FindingCode.WRONG_FIELD, "`label` and `labels` together")
    return _strip([_decode(fields, "label", _LABEL_DECODER, "a string")])


def _check_commas(labels: list[str]) -> list[str]:
    """Return them. A comma stands between labels in what the model writes, so none may be in one."""
    for label in labels:
        if "," in label:
            raise UnusableRowError(FindingCode.WRONG_FIELD, f"a comma within {show_label(label)} of `labels`")
    return labels


def _strip(labels: list[str | int]) -> list[str]:
    return [label for each in labels if (label := str(each).strip())]


def _read_completion(fields: Fields) -> Completion:
    prompt = _string(fields, "prompt") if "prompt" in fields else ""
    completion = _string(fields, "completion") if "completion" in fields else ""
    if completion.strip():
        return Completion(prompt, completion)
    if prompt.strip():
        raise UnusableRowError(FindingCode.NO_ANSWER, "a `prompt` without a `completion`")
    raise UnusableRowError(FindingCode.EMPTY_ROW)


def _read_conversation(fields: Fields) -> Conversation:
    try:
        messages = decode_messages(fields["messages"])
    except ValueError as error:  # msgspec's too
        raise UnusableRowError(FindingCode.WRONG_FIELD, f"`messages` is wrong: {error}") from error
    if not has_answer(messages):
        raise UnusableRowError(FindingCode.NO_ANSWER, "`messages` in which no assistant says anything")
    return Conversation(messages)


def _string(fields: Fields, name: str) -> str:
    return _decode(fields, name, _STRING_DECODER, "a string")


def _decode(fields: Fields, name: str, decoder: "msgspec.json.Decoder[_T]", what: str) -> _T:
    try:
        return decoder.decode(fields[name])
    except msgspec.ValidationError as error:
        raise UnusableRowError(FindingCode.WRONG_FIELD, f"`{name}` must be {what}") from error
