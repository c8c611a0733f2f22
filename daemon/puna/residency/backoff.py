"""What happens to a model whose worker dies again and again. Pure."""

from puna.errors import WorkerDiedError

DEATHS_TO_FAIL = 3
"""In a row, without an answer between them."""
_WAITS_S = (0.0, 0.0, 5.0)
"""By the deaths so far: the first may be an accident, the second not."""


def wait_before_load(deaths: int, last_death_s: float, now_s: float) -> float:
    """Return the seconds until a model may be loaded again. The times are of any one clock."""
    wait_s = _WAITS_S[min(deaths, len(_WAITS_S) - 1)]
    return max(0.0, last_death_s + wait_s - now_s)


def describe_death(model: str, how: str) -> str:
    """Say how the worker of a model ended."""
    return f"The worker of {model} died ({how})."


def given_up(model: str, deaths: int, last: str) -> WorkerDiedError:
    """Return the error for a model that is not loaded again by itself."""
    return WorkerDiedError(
        f"{model} is not loaded again, for its worker died {deaths} times in a row. The last time: {last} "
        "Load the model explicitly to try once more, or choose another file or quantisation."
    )
