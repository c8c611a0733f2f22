"""How a command ends: exit codes, and errors as one sentence."""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from enum import IntEnum

from puna.cli.streams import drop_output, prepare_streams
from puna.errors import AlreadyRunningError, ConfigError, NotRunningError, PunaError
from puna.supervision import EXIT_ALREADY_RUNNING
from puna.terminal.safe_text import to_safe_text

_WRITING_FAILED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


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
  3   Puna does not run, and the command needs it
  4   Puna runs but does not answer (status)
  75  another Puna of this user runs (serve)
  130 Ctrl-C"""


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
    prepare_streams()
    try:
        return command()
    except KeyboardInterrupt as error:
        return exit_code_of(error)
    except BrokenPipeError:
        # `puna logs | head`: nobody reads on.
        drop_output()
        return ExitCode.DONE
    except PunaError as error:
        complain(error.message)
        return exit_code_of(error)
    except Exception as error:
        if os.environ.get("PUNA_DEBUG"):
            raise
        complain(_explain(error))
        return ExitCode.FAILED


def _explain(error: Exception) -> str:
    """Return the sentence for an error that no command foresees."""
    match error:
        case OSError(errno=number, filename=None) if number in _WRITING_FAILED:
            drop_output()
            return f"The output cannot be written ({error.strerror}); make room, or write it somewhere else."
        case UnicodeEncodeError(reason="surrogates not allowed"):
            return "An argument is no valid UTF-8; type it again, or rename the file."
        case _:
            return (
                f"Unexpected {type(error).__name__}: {error}. This is a mistake in Puna; "
                "set PUNA_DEBUG=1 and run it again for the details that a report needs."
            )


def hush() -> None:
    """Let what Ctrl-C has cut off be taken down without a word: an event loop, say, that was just being made."""
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda _: None
    warnings.simplefilter("ignore")


def say(text: str) -> None:
    """Print a sentence or a line for people. What came from files and from the Hub cannot steer the terminal."""
    print(to_safe_text(text), flush=True)


def complain(sentence: str) -> None:
    """Say what is wrong, on standard error."""
    print(f"puna: {to_safe_text(sentence)}", file=sys.stderr)
