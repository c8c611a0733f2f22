"""Bounds that all dialects share: beyond them a request is no use to a model, and holds up everybody else's.

Bodies are made into objects on the event loop: 10,000 messages take about 0.1 s, and half a million seconds.
"""

MAX_MESSAGES = 10_000
"""Of one conversation."""
MAX_PROMPT_TOKENS = 1_000_000
"""Of one prompt that comes as numbers of tokens."""
