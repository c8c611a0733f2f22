"""Standard input, output and error, made fit for whatever this process was started with."""

import io
import os
import sys
from pathlib import Path

_NAMES = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""In the order of their descriptors."""


def prepare_streams() -> None:
    """Have all three be there, and none of them fail at a character that it cannot read or write."""
    for name, mode in _NAMES:
        if getattr(sys, name) is None:
            # It was closed, as by `puna ls >&-`; the next file that is opened would take its descriptor.
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open until the end
            setattr(sys, name, stream)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def drop_output() -> None:
    """Let what is still to be written go nowhere, so that the interpreter does not complain at its end."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)
