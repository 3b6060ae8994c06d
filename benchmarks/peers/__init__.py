"""Other stream processors that do the same work on the same Kafka, each in an environment of its own under `.cache`.

A peer is a package here that holds its program and, in `__init__.py`, the names of `Peer`. Its process is told its job
and tells what happens in JSON lines (`Service`); that it is done is seen from outside, by the offsets that its group
has committed.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.workload import Answer, Inputs
from tests.interop.apache_kafka import LineProcess

if TYPE_CHECKING:
    from benchmarks.topics import Log

Found = Callable[["Log", Inputs, str], Answer]
"""The answer that a peer's app left, by the app's name."""

NAMES = ("kafka-streams", "faust", "quix", "bytewax")


class PeerMissingError(Exception):
    """The environment of a peer cannot be made on this machine; the message says why."""


@dataclass(frozen=True)
class Variant:
    """A peer and how it is set: `kafka-streams:1:at_least_once:commit=30` (threads, guarantee, commit interval in ms).

    >>> Variant.of("kafka-streams:1")
    Variant(peer='kafka-streams', threads=1, guarantee='exactly_once', commit_ms=100)
    >>> Variant.of("quix").guarantee
    'at_least_once'
    """

    peer: str
    threads: int = 2
    guarantee: str = "exactly_once"
    commit_ms: int = 100

    @classmethod
    def of(cls, system: str) -> Variant:
        peer, *words = system.split(":")
        usual = "exactly_once" if peer == "kafka-streams" else "at_least_once"
        variant = cls(peer, guarantee=usual)
        for word in words:
            if word.isdigit():
                variant = replace(variant, threads=int(word))
            elif word.startswith("commit="):
                variant = replace(variant, commit_ms=int(word.removeprefix("commit=")))
            else:
                variant = replace(variant, guarantee=word)
        return variant


@dataclass
class Job:
    """What a peer's process is to do."""

    workload: str
    address: str
    app: str  # a name of its own each time, so that groups and changelogs begin anew
    state: str
    input: str
    n: int
    threads: int
    guarantee: str
    commit_ms: int
    linger_ms: int = 5
    cache_bytes: int = 64 << 20
    block_cache_bytes: int = 0  # 0: the peer's default
    do: str = "start"


class Peer(Protocol):
    """The names in a peer's package."""

    VERSIONS: Mapping[str, str]
    FOUND: Mapping[str, Found]  # the workloads it does, and where its answers are
    RECORDS: int  # at most so many, that a run takes seconds
    WARM_UP: int  # records that a process does before those that count; it then goes on from run to run
    ENDS: bool  # it commits no offsets: it tells when it has read to the end and written everything

    def prepare(self) -> None:
        """Makes the environment, unless it is there. Raises PeerMissingError."""

    def command(self) -> tuple[list[str], Mapping[str, str]]:
        """The command of its process, and variables of its environment."""


def load(name: str) -> Peer:
    """The package of a peer.

    >>> load("kafka-streams").VERSIONS
    {'kafka-streams': '4.3.1'}
    """
    module: Any = importlib.import_module(f"benchmarks.peers.{name.replace('-', '_')}")
    peer: Peer = module
    return peer


class Service(LineProcess):
    """The process of a peer."""

    @classmethod
    def of(cls, peer: Peer, log: Path) -> Service:
        command, environment = peer.command()
        log.unlink(missing_ok=True)
        return cls(command, environment, log=log)

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, job: Mapping[str, Any]) -> None:
        """A line to the process."""
        self.write(json.dumps(job))

    def hear(self, event: str, timeout_s: float) -> dict[str, Any]:
        """Waits for an event. Raises RuntimeError when it does not come, or when the peer says that it failed."""
        deadline = time.monotonic() + timeout_s
        while True:
            line = self.read(max(0.1, deadline - time.monotonic()))
            if not line.startswith("{"):
                continue
            heard: dict[str, Any] = json.loads(line)
            if heard["event"] == "failed":
                raise RuntimeError(f"{self.process.args!r}: {heard['error']}")
            if heard["event"] == event:
                return heard
