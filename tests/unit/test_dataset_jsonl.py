"""JSONL datasets: what an object must have, and one kind in one file."""

import json
from typing import Any

import pytest

from fakes.dataset_files import codes, finding, inspect_text, only_error, samples_in
from puna.domain.chat import Message, Role, ToolCall
from puna.domain.datasets import (
    Completion,
    Conversation,
    DatasetFormat,
    DatasetReport,
    FindingCode,
    Labelled,
    PlainText,
    Sample,
    SampleKind,
)
from puna.finetune.datasets.inline import write_texts

QUESTION = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}


def lines_of(*rows: Any) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def read(*rows: Any) -> list[Sample]:
    return samples_in(lines_of(*rows), DatasetFormat.JSONL)


def inspect(*rows: Any) -> DatasetReport:
    return inspect_text(lines_of(*rows), "a.jsonl")


def test_an_object_with_a_text_is_a_plain_text_kept_as_it_is() -> None:
    assert read({"text": " one\ntwo "}, {"text": "😀", "id": 7, "source": {"a": []}}) == [
        PlainText(" one\ntwo "),
        PlainText("😀"),
    ]
    report = inspect({"text": "a", "id": 7}, {"text": "b", "more": None, "source": 1})
    assert (report.kind, report.format) == (SampleKind.PLAIN_TEXT, DatasetFormat.JSONL)
    assert report.ignored_columns == ("id", "source")


def test_an_object_with_a_prompt_and_a_completion_is_a_completion_kept_as_it_is() -> None:
    assert read(
        {"prompt": "2+2=", "completion": " 4\n"},
        {"completion": "x", "prompt": None},
        {"prompt": "", "completion": "y"},
    ) == [Completion("2+2=", " 4\n"), Completion("", "x"), Completion("", "y")]


def test_an_object_with_messages_is_a_conversation() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    bare = {"function": {"name": "g", "arguments": {"y": 2}}}
    [conversation] = read(
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": parts},
                {"role": "assistant", "content": None, "tool_calls": [call, bare]},
                {"role": "tool", "content": "1", "tool_call_id": "c1", "name": "f"},
                {"role": "assistant", "content": "Done", "reasoning_content": "hm", "weight": 1},
            ]
        }
    )
    assert conversation == Conversation(
        (
            Message(Role.SYSTEM, "Be kind."),
            Message(Role.USER, "ab"),
            Message(
                Role.ASSISTANT,
                "",
                tool_calls=(ToolCall("c1", "f", '{"x": 1}'), ToolCall("", "g", '{"y": 2}')),
            ),
            Message(Role.TOOL, "1", tool_call_id="c1", name="f"),
            Message(Role.ASSISTANT, "Done", reasoning="hm"),
        )
    )


def test_a_text_with_labels_is_a_labelled_one() -> None:
    assert read(
        {"text": " a ", "label": "x"},
        {"text": "b", "label": 1},
        {"text": "c", "labels": ["x", " y ", "x"]},
        {"text": "d", "labels": "x, y"},
    ) == [Labelled("a", ("x",)), Labelled("b", ("1",)), Labelled("c", ("x", "y")), Labelled("d", ("x", "y"))]
    report = inspect({"text": "a", "label": "x"}, {"text": "b"}, {"text": "c", "label": ""})
    assert only_error(report).rows == (2, 3)
    assert only_error(report).code is FindingCode.MISSING_LABEL


def test_a_file_has_one_kind() -> None:
    report = inspect(
        {"text": "a"}, {"messages": [QUESTION, ANSWER]}, {"prompt": "p", "completion": "c"}, {"text": "b"}
    )
    error = only_error(report)
    assert (error.code, error.rows, report.kind) == (FindingCode.MIXED_KINDS, (2, 3), SampleKind.PLAIN_TEXT)
    assert "first: `messages`, where the file began with `text` without a label; make a file" in error.message


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ({"text": 1}, FindingCode.WRONG_FIELD, "`text` must be a string"),
        ({"text": "a", "labels": [[]]}, FindingCode.WRONG_FIELD, "`labels` must be a list of strings"),
        (
            {"text": "a", "labels": ["x", "y, z"]},
            FindingCode.WRONG_FIELD,
            "a comma within `y, z` of `labels`",
        ),
        ({"text": "a", "label": 1.5}, FindingCode.WRONG_FIELD, "`label` must be a string"),
        (
            {"text": "a", "label": "b", "labels": ["c"]},
            FindingCode.WRONG_FIELD,
            "`label` and `labels` together",
        ),
        ({"foo": 1}, FindingCode.WRONG_FIELD, "no field but none of"),
        ({"label": "x"}, FindingCode.WRONG_FIELD, "`label` but none of `text`"),
        (
            {"text": "a", "messages": [QUESTION, ANSWER]},
            FindingCode.WRONG_FIELD,
            "`text` and `messages` together",
        ),
        ({"prompt": [QUESTION], "completion": "a"}, FindingCode.WRONG_FIELD, "`prompt` must be a string"),
        ({"prompt": "a"}, FindingCode.NO_ANSWER, "a `prompt` without a `completion`"),
        ({"prompt": "a", "completion": "  "}, FindingCode.NO_ANSWER, "a `prompt` without a `completion`"),
        ({"messages": [QUESTION]}, FindingCode.NO_ANSWER, "no assistant says anything"),
        ({"messages": []}, FindingCode.NO_ANSWER, "no assistant says anything"),
        ({"messages": "hi"}, FindingCode.WRONG_FIELD, "`messages` is wrong: Expected `array`, got `str`"),
        (
            {"messages": [{"role": "human", "content": "x"}]},
            FindingCode.WRONG_FIELD,
            "Invalid enum value 'human'",
        ),
        ({"messages": [{"role": "user"}, ANSWER]}, FindingCode.WRONG_FIELD, "`messages[0]` has no `content`"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ANSWER]},
            FindingCode.WRONG_FIELD,
            "`messages[0].content` holds more than text",
        ),
        ([1], FindingCode.INVALID_JSON, "the line is no JSON object"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: Any, code: FindingCode, said: str) -> None:
    error = only_error(inspect_text(lines_of(row), stated=DatasetFormat.JSONL))
    assert (error.code, error.rows) == (code, (1,))
    assert said in error.message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"text": "a"', "the JSON ends too early"),
        (b'{"text": "\\ud83d"}', "holds half a character such as \\ud83d"),
        (b"{'text': 'a'}", "JSON is malformed"),
        (b'{"text": "a"} {"text": "b"}', "trailing characters"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_lines_that_are_no_json_are_told_and_reading_goes_on(line: bytes, said: str) -> None:
    report = inspect_text(b'{"text": "a"}\n' + line + b'\n{"text": 3}\n', "a.jsonl")
    error = finding(report, FindingCode.INVALID_JSON)
    assert error.rows == (2,)
    assert said in error.message
    assert finding(report, FindingCode.WRONG_FIELD).rows == (3,)


def test_empty_lines_and_empty_samples_are_dropped() -> None:
    content = '\n{"text": ""}\n  \n{"text": "a"}\n'
    report = inspect_text(content, "a.jsonl")
    assert report.is_usable
    assert finding(report, FindingCode.EMPTY_ROW).rows == (1, 2, 3)
    completions = inspect({"prompt": "", "completion": ""}, {"prompt": "a", "completion": "b"})
    assert (completions.samples, codes(completions.dropped)) == (1, {FindingCode.EMPTY_ROW})


def test_samples_given_as_values_become_a_file_like_any_other() -> None:
    texts = ["one", 'with "quotes"\nand lines', "ünï\u2028code"]
    content = b"".join(write_texts(texts))
    assert content.count(b"\n") == 3
    assert samples_in(content, DatasetFormat.JSONL) == [PlainText(text) for text in texts]
    assert inspect_text(content, "").format is DatasetFormat.JSONL


def test_a_file_cut_in_the_middle_is_no_dataset() -> None:
    content = lines_of({"text": "a"}, {"text": "b"})
    assert only_error(inspect_text(content[:-5], "a.jsonl")).code is FindingCode.INVALID_JSON
