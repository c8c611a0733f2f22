"""What must not stand in a log: secrets, by their form or because they are known."""

import re

_HIDDEN = "[hidden]"

# What may stand before a secret: no letter or digit, or a percent-encoded character.
_START = r"(?:(?<![A-Za-z0-9_])|(?<=%[0-9A-Fa-f]{2}))"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # A header, also as JSON, in a dict or in a tuple, whatever its scheme.
        (
            r"((?:proxy-)?authorization|x-api-key|x-puna-[a-z-]{0,40}token)"
            r"""([\\"']*\s*[:=,]\s*(?:b(?=["']))?[\\"']*)(?:(?:bearer|basic|digest|token)(?:\s|%20|\+)+)?[^\s"',;&]+""",
            rf"\1\2{_HIDDEN}",
        ),
        (r"(bearer(?:\s|%20|\+)+)[A-Z0-9._~+/=-]{6,}", rf"\1{_HIDDEN}"),
        (rf"{_START}(?:sk|pk|rk)-[A-Z0-9_-]{{8,}}", _HIDDEN),
        (rf"{_START}(?:hf|puna|ghp|gho|ghs|whsec)_[A-Z0-9_+/=-]{{12,}}", _HIDDEN),
        (rf"{_START}puna-[A-Z0-9_]{{20,}}", _HIDDEN),
        # ngrok: 27 characters, an underscore and about as many; API keys and credentials have a prefix.
        (rf"{_START}[1-9][A-Z0-9]{{24,}}_[A-Z0-9]{{18,}}", _HIDDEN),
        (rf"{_START}(?:ak|cr)_[A-Z0-9]{{20,}}", _HIDDEN),
        # key=value in a query, a command line or JSON.
        (
            r"((?:api[_-]?key|(?:auth|access|refresh|admin|hf)?[_-]?token|secret|password|passwd)"
            r"""[\\"']*\s*(?:=|:|%3d)\s*[\\"']*)[^\s"',;&]{6,}""",
            rf"\1{_HIDDEN}",
        ),
    )
)

_known_secrets: set[str] = set()


def conceal(secret: str) -> None:
    """Keep this very text out of the log from now on; for secrets that have no form of their own."""
    if len(secret) >= 6:
        _known_secrets.add(secret)


def redact(text: str) -> str:
    """Return the text with everything that is or looks like a secret replaced."""
    for secret in _known_secrets:
        text = text.replace(secret, _HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
