"""The counts of long rate limits, in the database."""

import sqlite3
from collections.abc import Iterable

from puna.limits.limiter import UsageCount


def read_counts(connection: sqlite3.Connection) -> list[UsageCount]:
    """Return all counts that were written."""
    rows = connection.execute("SELECT dialect, client, period_s, began_at, count FROM usage_counts")
    return [UsageCount(*row) for row in rows]


def write_counts(connection: sqlite3.Connection, counts: Iterable[UsageCount], now: float) -> None:
    """Put these in the place of older ones, and drop those whose period is over."""
    connection.executemany(
        "INSERT OR REPLACE INTO usage_counts (dialect, client, period_s, began_at, count)"
        " VALUES (?, ?, ?, ?, ?)",
        [(one.dialect, one.client, one.period_s, one.began_at, one.count) for one in counts],
    )
    connection.execute("DELETE FROM usage_counts WHERE began_at + period_s <= ?", (now,))
