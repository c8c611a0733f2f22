"""Stop strings in a stream."""

import random

import pytest

from puna.errors import InvalidRequestError
from puna.prompting.stop_strings import (
    MAX_STOP_STRING_CHARACTERS,
    MAX_STOP_STRINGS,
    StopMatcher,
    check_stop_strings,
)


def stream(stops: list[str], pieces: list[str]) -> tuple[str, str | None]:
    """Return the text that goes out and the stop string that ended it."""
    matcher = StopMatcher(stops)
    text = ""
    for piece in pieces:
        emitted, matched = matcher.push(piece)
        text += emitted
        if matched is not None:
            return text, matched
    return text + matcher.flush(), None


def expected(stops: list[str], text: str) -> tuple[str, str | None]:
    """Return the same by looking at every prefix, the slow and obvious way."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            longest = max(complete, key=len)
            return text[: end - len(longest)], longest
    return text, None


def split(dice: random.Random, text: str) -> list[str]:
    cuts = sorted(dice.randrange(len(text) + 1) for _ in range(dice.randrange(8)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def test_text_passes_at_once_without_stop_strings() -> None:
    matcher = StopMatcher([])
    assert matcher.push("anything ###") == ("anything ###", None)
    assert matcher.flush() == ""


def test_a_stop_string_ends_the_text_and_is_not_part_of_it() -> None:
    assert stream(["END"], ["one END two"]) == ("one ", "END")
    assert stream(["END"], ["one E", "N", "D two"]) == ("one ", "END")


def test_only_what_can_still_become_a_stop_string_is_held_back() -> None:
    matcher = StopMatcher(["\n### User:", "###\n"])
    assert matcher.push("Hello\n##") == ("Hello", None)
    assert matcher.push("#") == ("", None)
    assert matcher.push("!") == ("\n###!", None)
    assert matcher.push("a\n### Us") == ("a", None)
    assert matcher.flush() == "\n### Us"


def test_the_first_complete_stop_string_wins_and_of_equals_the_longest() -> None:
    assert stream(["abcd", "bc"], ["xabcd"]) == ("xa", "bc")
    assert stream(["bc", "abc", "c"], ["xabc"]) == ("x", "abc")
    assert stream(["ab", "abc"], ["abc"]) == ("", "ab")


def test_a_match_that_fails_late_can_hide_another() -> None:
    assert stream(["aab"], ["aaab"]) == ("a", "aab")
    assert stream(["abab!"], ["ababab!"]) == ("ab", "abab!")
    assert stream(["aabaa c", "abaab"], list("aabaab")) == ("a", "abaab")


def test_after_a_match_nothing_more_goes_out() -> None:
    matcher = StopMatcher(["."])
    assert matcher.push("One. Two.") == ("One", ".")
    assert matcher.push(" Three") == ("", ".")
    assert matcher.flush() == ""


def test_every_split_of_a_text_gives_the_same_result() -> None:
    dice = random.Random(7)
    for _ in range(3_000):
        alphabet = dice.choice(["ab", "abc", "a\u0301é🦙"])
        text = "".join(dice.choices(alphabet, k=dice.randrange(30)))
        stops = ["".join(dice.choices(alphabet, k=dice.randrange(1, 6))) for _ in range(dice.randrange(1, 5))]
        pieces = split(dice, text)
        assert stream(stops, pieces) == expected(stops, text), (stops, pieces)


def test_what_went_out_and_what_is_held_are_always_the_whole_text() -> None:
    dice = random.Random(11)
    for _ in range(500):
        text = "".join(dice.choices("ab", k=20))
        stop = "".join(dice.choices("ab", k=9)) + "c"
        matcher = StopMatcher([stop])
        out = ""
        for index, character in enumerate(text, start=1):
            out += matcher.push(character).emit
            held = text[len(out) : index]
            assert text.startswith(out)
            assert stop.startswith(held)


def test_hostile_stop_strings_cost_little_for_each_character() -> None:
    """A search that looks at each start anew would need 64 billion comparisons here."""
    stops = ["a" * (1_000 - index) + "b" for index in range(64)]
    text, matched = stream(stops, ["aaaa"] * 5_000)
    assert (len(text), matched) == (20_000, None)


def test_the_limits_are_said() -> None:
    for stops, said in (
        ([""], "empty"),
        (["x" * (MAX_STOP_STRING_CHARACTERS + 1)], "at most 1,000 characters, but one has 1,001"),
        (["x"] * (MAX_STOP_STRINGS + 1), "at most 64 strings, but has 65"),
    ):
        with pytest.raises(InvalidRequestError, match=said) as caught:
            check_stop_strings(stops)
        assert caught.value.field == "stop"
    check_stop_strings(["x" * MAX_STOP_STRING_CHARACTERS] * MAX_STOP_STRINGS)
