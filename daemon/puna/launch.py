"""Command lines and environments of Puna's own processes, from source or from a bundle."""

import os
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence

from puna.errors import DaemonError
from puna.files import make_private_folder
from puna.paths import Paths

_SECRET = re.compile(
    r"^(PUNA_.*(TOKEN|KEY|SECRET|PASSWORD).*|HF_TOKEN.*|HUGGING_FACE_HUB_TOKEN|NGROK_AUTHTOKEN.*"
    r"|.*(API|SECRET|ACCESS|PRIVATE)_?KEY.*|.*_TOKEN|.*_SECRET|.*PASSWORD.*|.*CREDENTIALS?)$",
    re.IGNORECASE,
)


def child_command(role: str, *arguments: str) -> list[str]:
    """Return the command line that runs Puna in a role, such as `worker`, as a process of its own."""
    if getattr(sys, "frozen", False):
        return [sys.executable, role, *arguments]
    # -P: the current folder is not searched for modules; whatever lies there must not run as part of Puna.
    return [sys.executable, "-P", "-m", "puna", role, *arguments]


def child_environment(
    environ: Mapping[str, str] = os.environ, *, hidden: Collection[str] = ()
) -> dict[str, str]:
    """Return the environment for a worker or trainer: this one without anything named like a secret, or `hidden`.

    When ggml aborts it shall not start a debugger, whose lines would take the place of its own last words.
    """
    kept = {name: value for name, value in environ.items() if name not in hidden and not _SECRET.match(name)}
    return {"GGML_NO_BACKTRACE": "1"} | kept


def spawn_daemon(paths: Paths, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `puna serve` so that it outlives this process and its terminal.

    What it prints goes to `paths.output_file`, made anew; its log is its own affair. Raises `DaemonError`.
    """
    try:
        make_private_folder(paths.log_dir)
        with paths.output_file.open("wb") as output:
            return _detach(child_command("serve", "--detached", *arguments), output.fileno())
    except OSError as error:
        raise DaemonError(f"Puna cannot be started in the background ({error}).") from error


if sys.platform == "win32":

    def _detach(command: list[str], output: int) -> subprocess.Popen[bytes]:
        flags = (
            subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        )
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, creationflags=flags
        )

else:

    def _detach(command: list[str], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
