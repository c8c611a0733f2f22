"""What the user reads when Puna runs: where, how to try it, how to stop it."""

import shutil
import sys
from pathlib import Path

from puna.instance import Endpoint
from puna.paths import Paths


def greeting(endpoint: Endpoint, paths: Paths, *, in_foreground: bool) -> str:
    """Return the lines for a daemon that answers."""
    puna = own_command(sys.executable, shutil.which("puna"))
    stop = f"Ctrl-C here, or: {puna} stop" if in_foreground else f"{puna} stop"
    log = paths.daemon_log if in_foreground else f"{puna} logs"
    return (
        f"Puna {endpoint.version} runs at {endpoint.url} (process {endpoint.pid}).\n"
        f"  Try it:   {curl_line(endpoint.url)}\n"
        f"  Stop it:  {stop}\n"
        f"  Log:      {log}"
    )


def first_key_lines(secret: str) -> str:
    """Return the only look at the key of the first start."""
    return (
        f"  Key:      {secret}\n"
        "            Shown this once. Programs send it as `Authorization: Bearer` or `X-Api-Key`; most APIs and\n"
        "            all other machines need one. `puna keys` lists keys, makes others and revokes them."
    )


def own_command(executable: str, found: str | None) -> str:
    """Return what to type for `puna`: the path of the one beside this Python where the shell finds none."""
    beside = Path(executable).with_name("puna.exe" if sys.platform == "win32" else "puna")
    return str(beside) if found is None and beside.exists() else "puna"


def curl_line(url: str, platform: str = sys.platform) -> str:
    """Return a command that gets text from the model, quoted for the shell of the platform."""
    body = '{"prompt": "Once upon a time", "max_length": 100}'
    quoted = '"' + body.replace('"', '\\"') + '"' if platform == "win32" else f"'{body}'"
    return f'curl {url}/generate -H "Content-Type: application/json" -d {quoted}'
