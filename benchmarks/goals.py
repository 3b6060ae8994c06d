"""What the ratios are to be: ours to a peer's, in one run on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

YARDSTICK = "bound-dict:windowed"
"""The plain loop that embedded workloads are shares of, beside their own loops: about 1.5 M events/s on one core."""
KAFKA_STREAMS_SOON = "kafka-streams:1:commit=10"
"""Kafka Streams where latency counts: one thread and ten milliseconds gave the least, exactly once."""
MESSY_FACTOR = 2
"""So much may a rate lose on `messy`."""


@dataclass(frozen=True)
class Goal:
    """The ratio of `figure`, ours to the peer's: at least for rates, at most for times and memory."""

    workload: str
    transport: str
    system: str
    peer: str
    figure: str
    ratio: float

    @property
    def at_least(self) -> bool:
        return self.figure == "events_per_s"

    def met(self, ratio: float) -> bool:
        return ratio >= self.ratio if self.at_least else ratio <= self.ratio


def yardstick(workload: str) -> str:
    """As a system of a workload: its own loop is meant by the bare name.

    >>> yardstick("windowed-short"), yardstick("join")
    ('bound-dict', 'bound-dict:windowed')
    """
    return YARDSTICK.partition(":")[0] if workload.startswith("windowed") else YARDSTICK


_EMBEDDED = {  # without `fast`, with it
    "windowed": (0.7, 1.8),
    "windowed-short": (0.8, 2.5),
    "stateless": (0.7, 1.5),
    "join": (0.5, 1.2),
    "agent": (0.3, 0.3),
}
_KAFKA = {
    ("windowed", "kafka-streams"): (5, 10),
    ("windowed", "quix"): (50, 100),
    ("windowed", "faust"): (50, 100),
    ("stateless", "kafka-streams"): (4, 6),
    ("keyed", "kafka-streams"): (2, 3),
    ("agent", "quix"): (50, 50),
    ("agent", "faust"): (50, 50),
    ("restore", "kafka-streams"): (4, 4),
}
_LESS = (  # times and memory
    ("windowed", "kafka-streams", "peak_rss_mb", 1 / 3),
    ("start", "kafka-streams", "seconds", 1 / 3),
    ("latency", KAFKA_STREAMS_SOON, "p50_ms", 1 / 2),
    ("latency", KAFKA_STREAMS_SOON, "p99_ms", 1 / 2),
)


def _goals() -> Iterator[Goal]:
    for name, ratios in _EMBEDDED.items():
        for system, ratio in zip(("streams-numpy", "streams"), ratios, strict=True):
            yield Goal(name, "embedded", system, yardstick(name), "events_per_s", ratio)
    for (name, peer), ratios in _KAFKA.items():
        for system, ratio in zip(("streams-numpy", "streams"), ratios, strict=True):
            yield Goal(name, "kafka", system, peer, "events_per_s", ratio)
    for name, peer, figure, ratio in _LESS:
        for system in ("streams-numpy", "streams"):
            yield Goal(name, "kafka", system, peer, figure, ratio)


GOALS = tuple(_goals())


def goal(workload: str, transport: str, dataset: str, system: str, peer: str, figure: str) -> Goal | None:
    """The goal of a ratio, if it has one.

    >>> goal("windowed", "embedded", "messy", "streams", "bound-dict", "events_per_s").ratio
    0.9
    """
    of = (workload, transport, system, peer, figure)
    for found in GOALS:
        if (found.workload, found.transport, found.system, found.peer, found.figure) == of:
            return Goal(*of, found.ratio / (MESSY_FACTOR if dataset == "messy" and found.at_least else 1))
    return None
