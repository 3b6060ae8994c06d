"""python -m tests.interop.kafka_streams.search [--cases N] [--seed S] [--timeless] [--only OPERATION,...]

Asks both sides random cases; prints the smallest case of each kind of disagreement, and how many ran of each operation.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from streams.compiling.readiness import load_now
from streams.kernels import compiled
from tests.interop.kafka_streams.comparison import Comparison, Disagreement
from tests.interop.kafka_streams.kafka import KafkaStreams
from tests.interop.kafka_streams.minimal import minimal
from tests.interop.kafka_streams.runner import Case, Way
from tests.interop.kafka_streams.strategies import OPERATIONS, cases
from tests.interop.kafka_streams.tally import Tally, labels
from tests.interop.kafka_streams.topologies import NotThere


@dataclass
class Found:
    """What a search came to: the smallest case of each kind of disagreement, and the tally."""

    tally: Tally = field(default_factory=Tally)
    kinds: dict[str, tuple[Case, Disagreement]] = field(default_factory=dict)

    def add(self, smallest: Case, disagreement: Disagreement) -> None:
        kind = f"{disagreement.kind}: {', '.join(sorted(set(labels(smallest).values())))}"
        if kind not in self.kinds or len(str(smallest)) < len(str(self.kinds[kind][0])):
            self.kinds[kind] = smallest, disagreement
        self.tally.disagreements[kind] += 1

    def __str__(self) -> str:
        found = [
            f"-- {kind} ({self.tally.disagreements[kind]} times)\n{disagreement}\n"
            for kind, (_, disagreement) in self.kinds.items()
        ]
        return "\n".join([*found, str(self.tally)])


def drawn(count: int, number: int, **which: Any) -> list[Case]:
    """So many cases, always the same for a seed."""
    found: list[Case] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(**which))
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found


def ways(number: int, *, timeless: bool) -> list[Way]:
    """As rows and as columns, record by record and cut at random; a timeless case over four partitions. As columns by
    the compiled twins as well, where they are loaded.
    """
    twins = [False, True] if compiled.loaded() else [False]
    if timeless:
        return [Way(partitions=4), *(Way(columns=True, twins=on, partitions=4) for on in twins)]
    cuts = random.Random(number)
    batches = [Way(cut_by=cuts.randrange(1000)), *(Way(True, on, cuts.randrange(1000)) for on in twins)]
    return [Way(), Way(columns=True), *batches]


def search(kafka: KafkaStreams, asked: Iterable[Case], *, timeless: bool = False, first: bool = False) -> Found:
    """Compares both sides on the cases; with `first` up to the first disagreement, as it is."""
    found = Found()
    comparison = Comparison(kafka, found.tally)
    for place, case in enumerate(asked):
        run = ways(place, timeless=timeless)
        try:
            comparison.check(case, run)
        except NotThere as missing:
            found.tally.not_there[str(missing)] += 1
        except Disagreement as disagreement:
            if first:
                found.add(case, disagreement)
                return found
            found.add(*minimal(case, lambda smaller, run=run: comparison.quietly(smaller, run)))  # type: ignore[misc]
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--timeless", action="store_true", help="over four partitions")
    parser.add_argument("--first", action="store_true", help="stops at the first disagreement")
    parser.add_argument("--only", type=lambda text: tuple(text.split(",")), help=f"of {', '.join(OPERATIONS)}")
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}", flush=True)
    if compiled.installed():
        load_now()
        compiled.MANY_ROWS = 1  # cases are short
    with KafkaStreams() as kafka:
        found = search(
            kafka,
            drawn(asked.cases, asked.seed, timeless=asked.timeless, operations=asked.only),
            timeless=asked.timeless,
            first=asked.first,
        )
    print(f"{found}\nseed {asked.seed}")
    return len(found.kinds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
