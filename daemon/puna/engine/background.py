"""How a child behaves that does one job behind everybody's back, a trainer or a merger."""

import contextlib
import faulthandler
import os
import signal
import sys

import psutil

_NICENESS = 10
_WORDS_TO_THE_DAEMON = ("SIGINT", "SIGTERM", "SIGHUP")


def begin_child() -> None:
    """Let Ctrl-C and the end of the session be the daemon's: it asks for a checkpoint, and then ends the pipe."""
    faulthandler.enable()
    for name in _WORDS_TO_THE_DAEMON:
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)


def yield_to_others() -> None:
    """Let everything else on the machine go first."""
    with contextlib.suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(_NICENESS)
