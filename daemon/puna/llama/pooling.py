"""How the vectors of an input's tokens become one."""

from enum import IntEnum
from typing import final


@final
class Pooling(IntEnum):
    """`enum llama_pooling_type` of llama.h."""

    NONE = 0
    MEAN = 1
    CLS = 2
    """That of the first token."""
    LAST = 3
    RANK = 4
    """A classifier behind them says how well a document answers a query."""
