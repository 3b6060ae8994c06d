"""python -m tests.interop.kafka_streams.search [--cases N] [--seed S] [--timeless] [--only OPERATION,...]

Asks both sides random cases; prints the smallest case of each kind of disagreement, and how many ran of each operation.
"""

from __future__ import annotations

import argparse
import random
import sys
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.interop.kafka_streams.comparison import Comparison, Disagreement
from tests.interop.kafka_streams.kafka import KafkaStreams
from tests.interop.kafka_streams.minimal import minimal
from tests.interop.kafka_streams.runner import Case, Way
from tests.interop.kafka_streams.strategies import OPERATIONS, cases
from tests.interop.kafka_streams.tally import Tally, labels
from tests.interop.kafka_streams.topologies import NotThere


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


def ways(case: Case, number: int, *, timeless: bool) -> list[Way]:
    """As rows and as columns, record by record and cut at random; a timeless one over four partitions."""
    cuts = random.Random(number)
    if timeless:
        return [Way(partitions=4), Way(columns=True, partitions=4)]
    batches = [Way(cut_by=cuts.randrange(1000)), Way(columns=True, cut_by=cuts.randrange(1000))]
    return [Way(), Way(columns=True), *batches]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--timeless", action="store_true")
    parser.add_argument("--only", type=lambda text: tuple(text.split(",")), help=f"of {', '.join(OPERATIONS)}")
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}")
    kinds: dict[str, tuple[Case, Disagreement]] = {}
    with KafkaStreams() as kafka:
        comparison = Comparison(kafka, Tally())
        for place, case in enumerate(drawn(asked.cases, asked.seed, timeless=asked.timeless, operations=asked.only)):
            run = None
            try:
                run = ways(case, place, timeless=asked.timeless)
                comparison.check(case, run)
            except NotThere as missing:
                comparison.tally.not_there[str(missing)] += 1
            except Disagreement:
                smallest, disagreement = minimal(case, lambda smaller, run=run: comparison.quietly(smaller, run))
                kind = f"{disagreement.kind}: {', '.join(sorted(set(labels(smallest).values())))}"
                if kind not in kinds or len(str(smallest)) < len(str(kinds[kind][0])):
                    kinds[kind] = smallest, disagreement
                comparison.tally.disagreements[kind] += 1
    for kind, (_, disagreement) in kinds.items():
        print(f"\n-- {kind} ({comparison.tally.disagreements[kind]} times)\n{disagreement}")
    print(f"\n{comparison.tally}\nseed {asked.seed}")
    return len(kinds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
