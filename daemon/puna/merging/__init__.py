"""The child that merges an adapter with its base into a new GGUF, tensor by tensor.

What decides is pure: `blueprint` (which tensor is stored how, and where) and `pairs` (what the header says).
"""


def main() -> int:
    """Run the child on stdin and stdout, with its log on stderr. Returns the exit code."""
    from puna.merging.child import run

    return run()
