"""How people get another llama.cpp: the commands, as the `pip` of every system takes them. Pure."""

_PIP = "pip install --force-reinstall --no-deps --no-cache-dir"
_PACKAGE = "llama-cpp-python"

REINSTALL = f"{_PIP} {_PACKAGE}"
"""Takes a ready-made package where there is one."""


def rebuild_command(option: str = "") -> str:
    """Return the command that builds llama.cpp for this processor, and for a GPU with an `option` such as `CUDA`."""
    switch = f"-C cmake.args=-DGGML_{option}=on " if option else ""
    return f"{_PIP} --no-binary {_PACKAGE} {switch}{_PACKAGE}"
