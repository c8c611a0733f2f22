"""Start Puna from a checkout: python3 scripts/start.py [options of `puna serve`]

    python3 scripts/start.py
    python3 scripts/start.py --port 8080 --model ~/models/llama.gguf

The first run makes .venv and installs what Puna needs; llama.cpp is compiled, which takes about three minutes
and needs a C++ compiler. Later runs start in a second. Puna runs in the foreground; Ctrl-C stops it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

from environment import ensure_environment, is_ready, or_exit


def main(options: Sequence[str]) -> int:
    """Make the environment where it is missing, then become the daemon."""
    if {"--help", "-h"}.intersection(options) and not or_exit(lambda: is_ready(with_tests=False)):
        print(__doc__)
        return 0
    python = str(or_exit(lambda: ensure_environment(with_tests=False)))
    return _become([python, "-P", "-m", "puna", "serve", *options])


if sys.platform == "win32":

    def _become(command: Sequence[str]) -> int:
        """Wait for the daemon, which gets the same Ctrl-C and stops by itself."""
        with subprocess.Popen(list(command)) as daemon:
            while True:
                try:
                    return daemon.wait()
                except KeyboardInterrupt:
                    continue

else:

    def _become(command: Sequence[str]) -> NoReturn:
        sys.stdout.flush()
        os.execv(command[0], list(command))  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
