"""Events of a stream from bytes that come in any pieces."""

import pytest

from puna.engine.upstream.event_reader import EventReader, OversizedEventError

STREAM = (
    b": a comment\n\ndata: one\n\nevent: named\nid: 7\ndata:two\r\n\r\n"
    b'data: "a\ndata: b"\n\nerror: {"code":500}\n\nretry: 5\n\ndata: [DONE]\n\n'
)
EVENTS = [b"one", b"two", b'"a\nb"', b'{"error":{"code":500}}', b"[DONE]"]


def test_events_come_whole_however_the_bytes_are_cut() -> None:
    for size in range(1, len(STREAM) + 1):
        reader = EventReader(limit_bytes=1000)
        pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
        assert [event for piece in pieces for event in reader.push(piece)] == EVENTS
        assert reader.finish() == []


def test_an_event_without_its_empty_line_counts_at_the_end_and_half_a_line_does_not() -> None:
    reader = EventReader(limit_bytes=1000)
    assert reader.push(b"data: [DONE]\n") == []
    assert reader.finish() == [b"[DONE]"]
    half = EventReader(limit_bytes=1000)
    assert half.push(b'data: {"choices": [') == []
    assert half.finish() == []


def test_a_line_without_end_is_refused_at_the_limit() -> None:
    reader = EventReader(limit_bytes=1000)
    for _ in range(10):
        reader.push(b"x" * 100)
    with pytest.raises(OversizedEventError):
        reader.push(b"x")


def test_an_event_of_many_lines_is_refused_at_the_limit() -> None:
    reader = EventReader(limit_bytes=1000)
    with pytest.raises(OversizedEventError):
        for _ in range(200):
            reader.push(b"data: 12345678\n")


def test_long_streams_of_small_events_never_reach_the_limit() -> None:
    reader = EventReader(limit_bytes=100)
    assert sum(len(reader.push(b"data: 1234567890\n\n")) for _ in range(1000)) == 1000
