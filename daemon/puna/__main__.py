"""The entry point of every Puna process: `puna ...`, `python -m puna ...`, and the executable of a bundle."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one process and return its exit code; 130 after Ctrl-C, also while modules are still being loaded."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        return 130


def _run(given: list[str]) -> int:
    """Run the role that is named.

    Children and the daemon live long, so they load no command-line library: `worker`, `trainer`, `merger`
    and `probe` are for the daemon only, and `serve` comes through here when its flags need no help or correction.
    """
    match given:
        case ["worker"]:
            from puna.worker import main as run_worker

            return run_worker()
        case ["probe", *rpc_servers]:
            from puna.worker.probe import run as run_probe

            return run_probe(rpc_servers)
        case ["trainer"]:
            from puna.trainer import main as run_trainer

            return run_trainer()
        case ["merger"]:
            from puna.merging import main as run_merger

            return run_merger()
        case ["serve", *flags]:
            from puna.cli.serve import serve_at_once

            exit_code = serve_at_once(flags)
            return _run_command_line(given) if exit_code is None else exit_code
        case _:
            return _run_command_line(given)


def _run_command_line(arguments: list[str]) -> int:
    from puna.cli.commands import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
