"""Rates, and the text in which the setting `rate_limits` gives them.

documented                                     those of the APIs' own documents
off                                            none
locallab=60/min:10 aitextgen=100/min+5000/day  these; dialects that are not named keep the documented ones
locallab=off                                   none for this dialect
off openai=10/min                              none but this one
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from puna.domain.dialects import DialectName


class Rate(Struct, frozen=True):
    """So many requests in a period; `burst` spreads them evenly but for that many at once."""

    count: int
    period_s: int
    burst: int | None = None

    def __str__(self) -> str:
        """Return the rate as it is written in the setting."""
        period = next(unit for unit, length_s in _PERIODS.items() if length_s == self.period_s)
        return f"{self.count}/{period}" + (f":{self.burst}" if self.burst is not None else "")


RateRules = Mapping[str, tuple[Rate, ...]]
"""All rates of a dialect hold together; a dialect that is missing has none."""

_PERIODS = {"s": 1, "min": 60, "hour": 3_600, "day": 86_400}
_SPELLINGS = {"sec": "s", "second": "s", "m": "min", "minute": "min", "h": "hour", "d": "day"}
_RATE = re.compile(r"(?P<count>[1-9]\d{0,8})/(?P<period>[a-z]+)(?::(?P<burst>[1-9]\d{0,8}))?")
_DOCUMENTED, _OFF = "documented", "off"

DOCUMENTED: RateRules = {
    DialectName.LOCALLAB: (Rate(60, 60, burst=10),),
    DialectName.AITEXTGEN: (Rate(100, 60), Rate(5_000, 86_400)),
}
"""What the documents of these APIs say; the others name no rate."""


def parse_rates(text: str) -> RateRules:
    """Return the rules that a text gives. Raises `ValueError`, which quotes the word that is wrong."""
    words = re.split(r"[\s,;]+", text.strip().lower())
    rules: dict[str, tuple[Rate, ...]] = {}
    if words[0] != _OFF:
        rules.update(DOCUMENTED)
    for word in words[1:] if words[0] in (_DOCUMENTED, _OFF) else words:
        name, is_rule, rates = word.partition("=")
        if not is_rule or name not in list(DialectName):
            raise ValueError(word)
        rules[name] = () if rates == _OFF else tuple(_parse_rate(rate) for rate in rates.split("+"))
    return rules


def _parse_rate(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    period_s = _PERIODS.get(_SPELLINGS.get(found["period"], found["period"]))
    if period_s is None:
        raise ValueError(text)
    return Rate(int(found["count"]), period_s, int(found["burst"]) if found["burst"] else None)
