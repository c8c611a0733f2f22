"""Which call a tool's answer belongs to, where clients name calls by id, by name, or not at all."""

import time

import pytest

from puna.api.ollama.conversation import to_messages
from puna.api.ollama.schema import CallBody, CalledFunction, MessageBody
from puna.domain.chat import Role


def asked(*calls: tuple[str | None, str]) -> MessageBody:
    bodies = [CallBody(id=call_id, function=CalledFunction(name=name)) for call_id, name in calls]
    return MessageBody(role=Role.ASSISTANT, tool_calls=bodies)


def told(call_id: str | None = None, name: str | None = None) -> MessageBody:
    return MessageBody(role=Role.TOOL, content="x", tool_call_id=call_id, tool_name=name)


def answered(*turns: MessageBody) -> list[tuple[str | None, str | None]]:
    """Return which call, by id and name, each answer of a tool is taken for."""
    return [(each.tool_call_id, each.name) for each in to_messages(turns) if each.role is Role.TOOL]


def test_an_answer_belongs_to_the_call_of_its_id_else_of_its_name_else_to_the_first() -> None:
    calls = asked(("a", "add"), (None, "look"), ("c", "add"), (None, "add"))
    assert answered(calls, told("c"), told(name="add"), told(name="add"), told()) == [
        ("c", "add"),
        ("a", "add"),
        ("call_4", "add"),
        ("call_2", "look"),
    ]


def test_an_answer_to_nothing_stays_as_it_came() -> None:
    assert answered(told(), told("x", "add")) == [(None, None), ("x", "add")]
    assert answered(asked(("a", "add")), told("x"), told(), told()) == [
        ("x", None),
        ("a", "add"),
        (None, None),
    ]


def test_a_call_is_answered_once_and_later_calls_are_open_too() -> None:
    first, second = asked(("a", "add")), asked(("a", "add"), ("b", "add"))
    assert answered(first, told("a"), second, told(name="add"), told(), told("a")) == [
        ("a", "add"),
        ("a", "add"),
        ("b", "add"),
        ("a", None),
    ]


@pytest.mark.parametrize("way", ["id", "name", "order"])
def test_a_great_many_calls_take_no_great_time(way: str) -> None:
    count = 60_000
    numbers = range(count) if way == "order" else range(count - 1, -1, -1)
    calls = asked(*((f"c{number}", f"f{number}") for number in range(count)))
    answers = [
        told(f"c{number}" if way == "id" else None, f"f{number}" if way == "name" else None)
        for number in numbers
    ]
    began_s = time.thread_time()  # other programs may be busy
    assert [call_id for call_id, _ in answered(calls, *answers)] == [f"c{number}" for number in numbers]
    assert time.thread_time() - began_s < 20, "each answer must not look at all calls: that took a minute"
