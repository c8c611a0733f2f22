"""The child that trains one adapter on the frozen weights of a GGUF, and writes it as GGUF.

One thread trains (`training`), one reads the pipe (`inbox`). What decides is pure: `packing`, `schedule`, `copying`,
and the estimate in `puna.domain.training_estimate`.
"""


def main() -> int:
    """Run the child on stdin and stdout, with its log on stderr. Returns the exit code."""
    from puna.trainer.child import run

    return run()
