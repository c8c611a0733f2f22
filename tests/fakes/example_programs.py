"""Runs the examples of API documents as they are printed: shell commands, Windows commands, JavaScript."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

_TIMEOUT_S = 60.0
_ARGUMENT = re.compile(r'"(?P<quoted>(?:[^"]|"")*)"|(?P<bare>[^\s"]+)')


async def run_bash(text: str, **variables: str) -> str:
    """Run a text that people paste into a terminal and return what it prints."""
    if sys.platform == "win32":
        pytest.skip("the example is for a POSIX shell")
    return await _run([_find("bash"), "-c", text], "", variables)


async def run_cmd(text: str) -> str:
    """Run one command as the command line of Windows reads it, and return what it prints.

    A caret continues the line, and a quote inside of quotes is written twice.
    """
    line = text.replace("^\n", "")
    arguments = [
        found["bare"] if found["quoted"] is None else found["quoted"].replace('""', '"')
        for found in _ARGUMENT.finditer(line)
    ]
    return await _run([_find(arguments[0]), *arguments[1:]], "")


async def run_javascript(text: str) -> str:
    """Run a module in Node and return what it prints."""
    return await _run([_find("node"), "--input-type=module", "-"], text)


def _find(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs {program}")
    return path


async def _run(command: Sequence[str], text: str, variables: Mapping[str, str] | None = None) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        input=text,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    output: str = done.stdout
    return output
