"""The child that runs one model.

One thread owns the llama context and steps (`engine`), one reads the pipe (`child`), two render templates and
tokenise (`preparation`); the first hears of all of them by its `mailbox`. What decides is pure: `batching`,
`sequences`, `cost`, `governor`, `text`.
"""


def main() -> int:
    """Run the child on stdin and stdout, with its log on stderr. Returns the exit code."""
    from puna.worker.child import run

    return run()
