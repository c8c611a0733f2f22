"""What the user reads when Puna runs: where, how to try it, how to stop it."""

import ipaddress
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
        f"  Try it:   {curl_line(endpoint.url, needs_key=not _is_loopback(endpoint.connect_host))}\n"
        f"  Stop it:  {stop}\n"
        f"  Log:      {log}"
    )


def first_key_lines(secret: str) -> str:
    """Return the only look at the key of the first start."""
    return (
        f"  Key:      {secret}\n"
        "            Shown this once. Programs send it as `Authorization: Bearer` or\n"
        "            `X-Api-Key`; most APIs and all other machines need one.\n"
        "            `puna keys` lists keys, makes others and revokes them."
    )


def own_command(executable: str, found: str | None) -> str:
    """Return what to type for `puna`: the path of the one beside this Python where the shell finds none."""
    beside = Path(executable).with_name("puna.exe" if sys.platform == "win32" else "puna")
    if found is not None or not beside.exists():
        return "puna"
    return f'"{beside}"' if " " in str(beside) else str(beside)


def curl_line(url: str, platform: str = sys.platform, *, needs_key: bool = False) -> str:
    """Return a command that gets text from the model, quoted for the shell of the platform."""
    key = ' -H "X-Api-Key: KEY"' if needs_key else ""
    body = '{"prompt": "Once upon a time", "max_length": 100}'
    quoted = '"' + body.replace('"', '\\"') + '"' if platform == "win32" else f"'{body}'"
    return f'curl {url}/generate{key} -H "Content-Type: application/json" -d {quoted}'


def _is_loopback(address: str) -> bool:
    """Return whether only this machine reaches an address: there, text needs no key."""
    return ipaddress.ip_address(address).is_loopback
