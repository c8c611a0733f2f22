"""The child that only looks: which llama.cpp this is and which devices it sees, as JSON on stdout.

It loads no model, and ends at once when its stdin closes, whatever a driver does: then nobody wants to know.
"""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Sequence

import msgspec

from puna.domain.hardware import LlamaBuild

_STDIN, _STDOUT, _STDERR = 0, 1, 2
EXIT_OK = 0


def run(rpc_servers: Sequence[str] = ()) -> int:
    """Look, at the devices of these RPC servers too, tell, and return the exit code.

    What goes wrong ends the process with a line on stderr.
    """
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes stdin
    answer_fd = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)  # before llama.cpp is loaded: what a driver prints is no answer
    threading.Thread(target=_wait_for_end, name="parent", daemon=True).start()
    answer = memoryview(msgspec.json.encode(_look(rpc_servers)))
    while answer:
        answer = answer[os.write(answer_fd, answer) :]
    return EXIT_OK


def _look(rpc_servers: Sequence[str]) -> LlamaBuild:
    from puna.llama.build import read_build

    return read_build(rpc_servers)


def _wait_for_end() -> None:
    while os.read(_STDIN, 1):
        pass
    os._exit(EXIT_OK)


if __name__ == "__main__":
    sys.exit(run())
