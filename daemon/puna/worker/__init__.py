"""The child that runs one model.

One thread owns the llama context and steps (`engine`), one reads the pipe (`child`), one renders templates and
tokenises (`preparation`). What decides is pure: `batching`, `sequences`, `cost`, `governor`, `context_plan`, `text`.
"""


def main() -> int:
    """Run the child on stdin and stdout, with its log on stderr. Returns the exit code."""
    from puna.worker.child import run

    return run()
