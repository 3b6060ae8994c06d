"""What a worker counts, from its start on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Totals:
    """`records` taken from topics, `commits`, records read to restore stores, and records `dropped` by (step, reason).

    Work that is done again after a commit whose outcome was unknown is counted again.
    """

    records: int = 0
    commits: int = 0
    restored: int = 0
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
