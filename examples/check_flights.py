"""Counts the flights again with plain loops and compares what the app reported: is every number right?

streams worker examples.flights:app --until-end --json | python -m examples.check_flights
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def lines(name: str) -> list[Any]:
    with gzip.open(DATA / name, "rt") as file:
        return [json.loads(line) for line in file]


def delays() -> Iterator[dict[str, Any]]:
    """One row per airline and hour."""
    names = json.loads((DATA / "airlines.json").read_text())
    groups = defaultdict(list)
    for flight in lines("flights-2013-01.jsonl.gz"):
        groups[f"{flight['at'][:13].replace('T', ' ')}:00Z", names[flight["carrier"]]].append(flight["delay"])
    for (hour, airline), all_delays in groups.items():
        known = [delay for delay in all_delays if delay is not None]
        yield {
            "report": "delays",
            "hour": hour,
            "airline": airline,
            "flights": len(all_delays),
            "mean": sum(known) / len(known) if known else None,
            "worst": max(known, default=None),
            "late": sum(delay > 60 for delay in known),
        }


def planes_by_maker() -> Iterator[dict[str, Any]]:
    """One row per maker of planes, over the flights whose plane is in the register."""
    planes = {plane["tailnum"]: plane for plane in lines("planes.jsonl.gz")}
    groups = defaultdict(list)
    for flight in lines("flights-2013-01.jsonl.gz"):
        if flight["tailnum"] in planes:
            groups[planes[flight["tailnum"]]["manufacturer"]].append(flight["delay"])
    for maker, all_delays in groups.items():
        known = [delay for delay in all_delays if delay is not None]
        mean = sum(known) / len(known) if known else None
        yield {"report": "planes_by_maker", "manufacturer": maker, "flights": len(all_delays), "mean": mean}


def differences(reported: Iterable[dict[str, Any]]) -> list[str]:
    """What is missing (-) and what should not be there (+)."""
    found, wanted = (
        {json.dumps(row, sort_keys=True) for row in rows} for rows in (reported, [*delays(), *planes_by_maker()])
    )
    return [f"- {row}" for row in sorted(wanted - found)] + [f"+ {row}" for row in sorted(found - wanted)]


def main() -> None:
    rows = [json.loads(line) for line in sys.stdin]
    wrong = differences(rows)
    print(*wrong[:20], sep="\n", end="\n" if wrong else "")
    print(f"{len(rows):,} rows: " + (f"{len(wrong):,} differences" if wrong else "every number is right"))
    sys.exit(1 if wrong or not rows else 0)


if __name__ == "__main__":
    main()
