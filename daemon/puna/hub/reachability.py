"""Whether to ask the Hub at all: not where a setting says so, nor right after it could not be reached."""

import time
from collections.abc import Callable

from puna.errors import PunaError
from puna.hub import failures
from puna.hub.failures import HubUnreachableError

PAUSE_S = 5.0
"""How long a failed connection answers for later ones: a person who tries again a moment later is asked anew."""


class Reachability:
    """Belongs to one event loop."""

    def __init__(self, *, is_offline: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._is_offline = is_offline
        self._clock = clock
        self._failed_s: float | None = None

    @property
    def is_offline(self) -> bool:
        """Whether a setting or the environment says that the Hub is not to be asked."""
        return self._is_offline

    def check(self, *, is_patient: bool = False) -> None:
        """Raise `OfflineError` where the Hub is not to be asked; a patient caller asks after failures too."""
        if self._is_offline:
            raise failures.offline("the setting offline, or HF_HUB_OFFLINE, is on")
        if self._failed_s is None or is_patient:
            return
        left_s = self._failed_s + PAUSE_S - self._clock()
        if left_s > 0:
            raise failures.offline("the Hub could not be reached a moment ago", retry_after_s=left_s)

    def note(self, error: PunaError | None) -> None:
        """Take note of how an attempt ended."""
        if error is None:
            self._failed_s = None
        elif isinstance(error, HubUnreachableError):
            self._failed_s = self._clock()
