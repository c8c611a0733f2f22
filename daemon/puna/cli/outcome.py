"""How a command ends: exit codes, and errors as one sentence."""

import os
import sys
from collections.abc import Callable
from enum import IntEnum

from puna.errors import AlreadyRunningError, ConfigError, NotRunningError, PunaError
from puna.supervision import EXIT_ALREADY_RUNNING


class ExitCode(IntEnum):
    """The exit codes of all commands."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    NOT_RUNNING = 3
    NOT_ANSWERING = 4
    ALREADY_RUNNING = EXIT_ALREADY_RUNNING
    INTERRUPTED = 130


EXIT_CODES_HELP = """\b
Exit codes:
  0   done
  1   failed; the message says why
  2   wrong usage, or a wrong setting
  3   nothing runs (status, logs)
  4   Puna runs but does not answer (status)
  75  another Puna of this user runs (serve)"""


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for what ended a command."""
    match error:
        case ConfigError():
            return ExitCode.WRONG_USE
        case NotRunningError():
            return ExitCode.NOT_RUNNING
        case AlreadyRunningError():
            return ExitCode.ALREADY_RUNNING
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case _:
            return ExitCode.FAILED


def guarded(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; what it raises becomes one sentence on standard error."""
    try:
        return command()
    except KeyboardInterrupt as error:
        return exit_code_of(error)
    except BrokenPipeError:
        # `puna logs | head`: nobody reads on, and the interpreter must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except PunaError as error:
        complain(error.message)
        return exit_code_of(error)
    except Exception as error:
        if os.environ.get("PUNA_DEBUG"):
            raise
        complain(
            f"Unexpected {type(error).__name__}: {error}. This is a mistake in Puna; "
            "set PUNA_DEBUG=1 and run it again for the details that a report needs."
        )
        return ExitCode.FAILED


def complain(sentence: str) -> None:
    """Say what is wrong, on standard error."""
    print(f"puna: {sentence}", file=sys.stderr)
