"""What a step of k tokens costs on this machine, with this model, now."""

from bisect import bisect_left

_SMOOTHING = 0.2
"""Weight of a new observation: follows a change of load within about ten steps."""


class CostTable:
    """Seconds of a step by its number of tokens, learnt at load and from every step since.

    The cost is neither linear in the tokens nor the same for two quantisations, so it is kept per power of two
    and interpolated.
    """

    def __init__(self) -> None:
        self._points: dict[int, tuple[float, float]] = {}

    def observe(self, tokens: int, seconds: float) -> None:
        """Take in one step. `tokens` is at least 1."""
        bucket = tokens.bit_length()
        if bucket not in self._points:
            self._points[bucket] = (float(tokens), seconds)
            return
        mean_tokens, mean_seconds = self._points[bucket]
        self._points[bucket] = (
            mean_tokens + _SMOOTHING * (tokens - mean_tokens),
            mean_seconds + _SMOOTHING * (seconds - mean_seconds),
        )

    def estimate(self, tokens: int) -> float | None:
        """Return the expected seconds of a step; None before anything was observed."""
        curve = [self._points[bucket] for bucket in sorted(self._points)]
        if not curve:
            return None
        right = bisect_left(curve, (float(tokens), 0.0))
        if right == 0:
            return curve[0][1]
        if right == len(curve):
            return curve[-1][1] * tokens / curve[-1][0]
        (low, low_s), (high, high_s) = curve[right - 1], curve[right]
        return low_s + (high_s - low_s) * (tokens - low) / (high - low)

    def tokens_within(self, budget_s: float, *, minimum: int, maximum: int) -> int:
        """Return the largest power of two of tokens, between the bounds, that fits the budget."""
        tokens = minimum
        while tokens * 2 <= maximum and (self.estimate(tokens * 2) or 0.0) <= budget_s:
            tokens *= 2
        return min(tokens, maximum)
