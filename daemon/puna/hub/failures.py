"""What can go wrong with the Hub, as sentences for the person who asked.

RequestError
├── ForbiddenError
│   ├── GatedModelError        its licence must be accepted first
│   └── HubTokenError          the token is invalid or expired
├── ModelNotFoundError         no such repository, revision or file
├── OverloadedError            try again later
│   ├── HubUnreachableError    no network, or the Hub is down
│   │   └── OfflineError       a setting says so, or the last try was a moment ago
│   └── HubBusyError           the Hub's rate limit
└── StoreError
    ├── DiskFullError
    └── DamagedDownloadError   what came is not what the Hub promised
"""

import re
from collections.abc import Mapping

from puna.errors import ForbiddenError, ModelNotFoundError, OverloadedError, PunaError, StoreError

_RETRY_AFTER_S = 10.0
_RESET = re.compile(r";\s*r\s*=\s*\d+\s*;\s*t\s*=\s*(\d+)")


class GatedModelError(ForbiddenError):
    """The repository's licence was not accepted, or there is no token to tell who did."""


class HubTokenError(ForbiddenError):
    """The Hub does not take the token."""


class HubUnreachableError(OverloadedError):
    """No answer from the Hub, or only that it is down."""


class OfflineError(HubUnreachableError):
    """The Hub was not even asked."""


class HubBusyError(OverloadedError):
    """The Hub counts too many requests; `retry_after_s` says when it takes more."""


class DiskFullError(StoreError):
    """There is no room for the file; what came so far is kept."""


class DamagedDownloadError(StoreError):
    """Size or hash are not what the Hub promised; what came is removed."""


def gated(repo: str, endpoint: str, *, has_token: bool) -> PunaError:
    """Return the error for a licence that has to be accepted on a web page."""
    page = f"{endpoint}/{repo}".removeprefix("https://")
    if has_token:
        return GatedModelError(
            f"Your Hugging Face token has no access to {repo} yet: accept the licence at {page}, "
            "or wait until its owner grants it."
        )
    return GatedModelError(
        f"{repo} needs its licence to be accepted: do so at {page}, then add a token (`puna login`)."
    )


def unknown_repo(repo: str, *, has_token: bool) -> PunaError:
    """Return the error for a repository that is not there, or not for who asks."""
    advice = (
        "check the name, or use a token that may see it"
        if has_token
        else "check the name, or add a token (`puna login`)"
    )
    return ModelNotFoundError(f"The Hub has no model {repo}, or it is private: {advice}.")


def unknown_revision(repo: str, revision: str) -> PunaError:
    """Return the error for a branch, tag or commit that is not there."""
    return ModelNotFoundError(f"The version {revision} is not in the repository {repo}.")


def unknown_file(repo: str, name: str) -> PunaError:
    """Return the error for a file that is not there."""
    return ModelNotFoundError(f"The file {name} is not in the repository {repo}.")


def bad_token() -> PunaError:
    """Return the error for a token that the Hub does not take."""
    return HubTokenError(
        "The Hugging Face token is invalid or expired; log in again with `puna login`, or change HF_TOKEN where it is "
        "set."
    )


def busy(retry_after_s: float | None, *, has_token: bool) -> PunaError:
    """Return the error for the Hub's rate limit."""
    wait_s = max(1.0, retry_after_s or _RETRY_AFTER_S)
    hint = "" if has_token else "; a token raises the limit"
    return HubBusyError(f"The Hub limits the rate: try again in {wait_s:.0f} s{hint}.", retry_after_s=wait_s)


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the Hub's rate limit says to wait, by `RateLimit` or `Retry-After`; None without."""
    reset = _RESET.search(headers.get("ratelimit", ""))
    wait = reset[1] if reset else headers.get("Retry-After", "")
    return float(wait) if wait.isdigit() else None


def disabled(repo: str) -> PunaError:
    """Return the error for a repository that was switched off."""
    return ModelNotFoundError(f"The Hub has disabled the repository {repo}.")


def unreachable(reason: str) -> PunaError:
    """Return the error for a Hub that does not answer."""
    return HubUnreachableError(
        f"Cannot reach the Hub ({reason}); check the network and try again.", retry_after_s=_RETRY_AFTER_S
    )


def offline(reason: str, *, retry_after_s: float = _RETRY_AFTER_S) -> PunaError:
    """Return the error for a Hub that is not asked."""
    return OfflineError(f"Offline: {reason}. Models on disk still work.", retry_after_s=retry_after_s)


def odd_answer(what: str) -> PunaError:
    """Return the error for an answer that is none of the Hub's."""
    return HubUnreachableError(
        f"The Hub's answer cannot be used ({what}); is the setting hub_endpoint right?",
        retry_after_s=_RETRY_AFTER_S,
    )


def disk_full(name: str, *, needed_bytes: int, free_bytes: int, promised_bytes: int = 0) -> PunaError:
    """Return the error for a file that does not fit beside other downloads, found before it was begun."""
    promised = f", of which other downloads will take {_gigabytes(promised_bytes)}" if promised_bytes else ""
    return DiskFullError(
        f"Not enough room for {name}: {_gigabytes(needed_bytes)} are needed, {_gigabytes(free_bytes)} are free"
        f"{promised}; delete something, or move the cache with the setting hub_cache."
    )


def disk_full_midway(name: str, *, have_bytes: int, size_bytes: int) -> PunaError:
    """Return the error for a disk that ran full."""
    return DiskFullError(
        f"The disk is full: {_gigabytes(have_bytes)} of {_gigabytes(size_bytes)} of {name} are kept; make room, "
        "then resume the download."
    )


def damaged(name: str, what: str) -> PunaError:
    """Return the error for content that is not what the Hub promised."""
    return DamagedDownloadError(f"The download of {name} was damaged ({what}) and is removed; try it again.")


def _gigabytes(size_bytes: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes} bytes"
