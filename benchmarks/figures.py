"""What a file of results says: the newest comparison of each case, medians of its rounds, ratios with their spread."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import OURS, TIMES

Line = dict[str, Any]


class Key(NamedTuple):
    """What is compared: one workload on one transport and data set; of `latency`, at one rate."""

    workload: str
    transport: str
    dataset: str
    rate: int | None = None

    @property
    def title(self) -> str:
        words = [
            self.workload,
            f"{self.rate:,}/s" if self.rate else "",
            self.dataset if self.dataset == "messy" else "",
        ]
        return " ".join(word for word in words if word)


class Spread(NamedTuple):
    """The rounds of one figure or ratio.

    >>> Spread.of([3, 1, 2])
    Spread(median=2, least=1, most=3)
    """

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, rounds: Iterable[float]) -> Spread:
        found = list(rounds)
        return cls(statistics.median(found), min(found), max(found))


@dataclass(frozen=True)
class Case:
    """The lines of one comparison: each system once a round."""

    key: Key
    lines: Sequence[Line]

    @property
    def systems(self) -> list[str]:
        """Ours first, the rest as they were named."""
        named = dict.fromkeys(line["system"] for line in self.lines)
        return [*(name for name in OURS if name in named), *(name for name in named if name not in OURS)]

    @property
    def rounds(self) -> int:
        """How many of them."""
        return 1 + max(int(line["run"]) for line in self.lines)

    @property
    def figures(self) -> tuple[str, ...]:
        """What is compared in the first place."""
        return TIMES.get(self.key.workload, ("events_per_s",))

    def of(self, system: str) -> dict[int, Line]:
        """The lines of a system by round."""
        return {line["run"]: line for line in self.lines if line["system"] == system}

    def spread(self, system: str, figure: str) -> Spread | None:
        """A figure of a system; None where it has none."""
        found = [value(line, figure) for line in self.of(system).values()]
        return Spread.of(present) if (present := [one for one in found if one is not None]) else None

    def ratio(self, system: str, peer: str, figure: str) -> Spread | None:
        """One to the other in the rounds that both have."""
        ours, theirs = self.of(system), self.of(peer)
        pairs = [(value(ours[run], figure), value(theirs[run], figure)) for run in ours.keys() & theirs.keys()]
        ratios = [a / b for a, b in pairs if a is not None and b]
        return Spread.of(ratios) if ratios else None


def value(line: Line, figure: str) -> float | None:
    """A figure of a run; `cpu_s_per_million` is of a million records.

    >>> value({"workload": "windowed", "n": 500_000, "cpu_s": 1.0}, "cpu_s_per_million")
    2.0
    """
    if figure == "cpu_s_per_million":
        return None if not line.get("cpu_s") or line["workload"] in TIMES else 1e6 * line["cpu_s"] / line["n"]
    found: float | None = line.get(figure)
    return found


def key(line: Line) -> Key:
    """What a line is part of."""
    return Key(line["workload"], line["transport"], line["dataset"], line.get("rate"))


def cases(lines: Iterable[Line]) -> list[Case]:
    """Each case by its newest comparison, in the order in which they were first measured."""
    found: dict[Key, dict[str, list[Line]]] = {}
    for line in lines:
        if "system" in line and line["workload"] != "scale":
            found.setdefault(key(line), {}).setdefault(line["comparison"], []).append(line)
    return [Case(of, comparisons[max(comparisons)]) for of, comparisons in found.items()]


def read(path: Path) -> list[Line]:
    """The lines of a file."""
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
