"""Rates as text."""

import re

import pytest

from puna.domain.dialects import DialectName
from puna.limits.rates import DOCUMENTED, Rate, parse_rates

LOCALLAB, AITEXTGEN = (Rate(60, 60, burst=10),), (Rate(100, 60), Rate(5_000, 86_400))


def test_the_documented_rates_are_those_of_the_documents() -> None:
    assert parse_rates("documented") == DOCUMENTED == {"locallab": LOCALLAB, "aitextgen": AITEXTGEN}


def test_a_text_says_what_it_changes_and_the_rest_stays_documented() -> None:
    rules = parse_rates("locallab=5/s:2 openai=1000/hour+10000/day")
    assert rules["locallab"] == (Rate(5, 1, burst=2),)
    assert rules["openai"] == (Rate(1000, 3600), Rate(10_000, 86_400))
    assert rules["aitextgen"] == AITEXTGEN


def test_off_lifts_all_or_one() -> None:
    assert parse_rates("off") == {}
    assert parse_rates("locallab=off") == {"locallab": (), "aitextgen": AITEXTGEN}
    assert parse_rates("off lamini=1/min") == {"lamini": (Rate(1, 60),)}


def test_the_documented_rates_can_be_written_out() -> None:
    text = " ".join(f"{name}={'+'.join(map(str, rates))}" for name, rates in DOCUMENTED.items())
    assert text == "locallab=60/min:10 aitextgen=100/min+5000/day"
    assert parse_rates(text) == parse_rates(f"documented {text}") == DOCUMENTED


@pytest.mark.parametrize("text", ["LocalLab=60/Minute:10,", " locallab=60/m:10;aitextgen=100/min+5000/d "])
def test_spelling_and_separators_are_free(text: str) -> None:
    assert parse_rates(text.strip(" ,"))["locallab"] == LOCALLAB


def test_every_dialect_can_be_named() -> None:
    for name in DialectName:
        assert parse_rates(f"off {name}=1/day") == {name: (Rate(1, 86_400),)}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", ""),
        ("on", "on"),
        ("60/min", "60/min"),
        ("locallab", "locallab"),
        ("control=1/min", "control=1/min"),
        ("locallab=", ""),
        ("locallab=0/min", "0/min"),
        ("locallab=-1/min", "-1/min"),
        ("locallab=1.5/min", "1.5/min"),
        ("locallab=60/fortnight", "60/fortnight"),
        ("locallab=60/min:0", "60/min:0"),
        ("locallab=60/min+", ""),
        ("locallab=9999999999/min", "9999999999/min"),
        ("locallab=60/min off", "off"),
    ],
)
def test_what_is_no_rate_is_refused_by_its_word(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(wrong)}$"):
        parse_rates(text)
