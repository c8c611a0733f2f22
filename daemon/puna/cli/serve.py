"""`puna serve`: the daemon, in this process. Loads no command-line library unless its help is asked for."""

import contextlib
import faulthandler
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from puna.cli.greeting import first_key_lines, greeting
from puna.cli.outcome import complain, guarded
from puna.config import FlagValue, load
from puna.config.flags import parse_flags
from puna.instance import Endpoint
from puna.keys.records import NewKey
from puna.paths import Paths

if TYPE_CHECKING:
    import typer

_DETACHED = "--detached"
_HELP = """

Every setting has a flag here; a flag wins over the environment, that over the settings file
(`puna config path`), and that over the default. Stops cleanly at Ctrl-C, SIGTERM and `puna stop`.

\b
Examples:
  puna serve
  puna serve --port 8080
  puna serve --model ~/models/qwen2.5-7b-q4_k_m.gguf --context-length 8192
  puna serve --model-folder ~/models --no-load-on-start --log-level debug
"""


def serve_at_once(arguments: Sequence[str]) -> int | None:
    """Run the daemon and return its exit code; None, at once, when the arguments are not plain settings."""
    is_detached = _DETACHED in arguments
    flags = parse_flags([argument for argument in arguments if argument != _DETACHED])
    return None if flags is None else guarded(lambda: serve(flags, is_detached=is_detached))


def serve(flags: Mapping[str, FlagValue], *, is_detached: bool) -> int:
    """Run the daemon until it is stopped. Raises `DaemonError` when it cannot start."""
    paths = Paths.for_user()
    resolved = load(paths.config_file, os.environ, flags)
    for warning in resolved.warnings:
        complain(warning)
    with contextlib.suppress(RuntimeError, OSError):
        # A crash in native code is told on standard error, where that is a file or a terminal.
        faulthandler.enable()
    if is_detached:
        # Not to hold on to a folder that somebody may want to unmount or remove.
        os.chdir(paths.assets_dir)
    from puna.lifecycle import run_daemon

    def greet(endpoint: Endpoint, first_key: NewKey | None) -> None:
        print(greeting(endpoint, paths, in_foreground=not is_detached), flush=True)
        if first_key is not None:
            print(first_key_lines(first_key.secret), flush=True)

    return run_daemon(resolved.settings, paths, on_ready=greet, console=not is_detached)


def add_to(app: "typer.Typer", summary: str) -> None:
    """Add the command to the command line."""
    import typer

    from puna.cli.setting_options import given_flags, with_setting_options

    @with_setting_options
    def command(
        detached: Annotated[bool, typer.Option(_DETACHED, hidden=True)] = False, **flags: FlagValue | None
    ) -> None:
        raise typer.Exit(serve(given_flags(flags), is_detached=detached))

    app.command("serve", help=summary + _HELP)(command)
