"""Kafka Streams 4.3.1 on the JVM: RocksDB, a heap of 512 MB, static membership, tuned where its defaults are slower."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks import join, stateless, windowed
from benchmarks.peers import Found, PeerMissingError
from benchmarks.topics import Log
from benchmarks.windowed import Totals
from benchmarks.workload import Answer, Inputs, Void
from tests.interop.apache_kafka import VERSION, Missing, class_path

VERSIONS = {"kafka-streams": VERSION}
RECORDS = 100_000_000
WARM_UP = 2_000_000
ENDS = False

_HERE = Path(__file__).parent
_JVM = ("-Xms512m", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")


def prepare() -> None:
    """Fetches the jars by Maven, and compiles. Raises PeerMissingError."""
    try:
        _jars()
    except (Missing, RuntimeError) as error:
        raise PeerMissingError(f"kafka-streams: {error}") from error


def _jars() -> str:
    return class_path(_HERE, ("kafka-streams",))


def command() -> tuple[list[str], Mapping[str, str]]:
    return ["java", *_JVM, "Peer"], {"CLASSPATH": _jars()}


def _windowed(log: Log, inputs: Inputs, app: str) -> Answer:
    stored = {_window_of(key) for key in log.latest(f"{app}-totals-changelog")}
    missing = [group for group in windowed.expected(inputs) if group not in stored]
    if missing:
        raise Void("groups not in the changelog", missing)
    return windowed.results(log)


def _window_of(key: bytes) -> tuple[str, int]:
    """Kafka Streams' WindowKeySchema: the key, 8 bytes of start, 4 of a sequence number."""
    return key[:-12].decode(), int.from_bytes(key[-12:-4], "big", signed=True)


def _spent(log: Log, inputs: Inputs, app: str) -> Answer:
    return {key.decode(): struct.unpack(">d", value)[0] for key, value in log.latest(f"{app}-spent-changelog").items()}


def _seen(log: Log, inputs: Inputs, app: str) -> Answer:
    return {key.decode(): struct.unpack(">q", value)[0] for key, value in log.latest(f"{app}-seen-changelog").items()}


def _totals(log: Log, inputs: Inputs, app: str) -> Answer:
    totals = msgspec.json.Decoder(Totals).decode
    latest = {key.decode(): totals(value) for key, value in log.latest(f"{app}-totals-changelog").items()}
    return {key: (of.count, of.total) for key, of in latest.items()}


FOUND: dict[str, Found] = {
    "windowed": _windowed,
    "stateless": lambda log, inputs, app: stateless.found(log, inputs),
    "join": lambda log, inputs, app: join.found(log, inputs),
    "agent": _spent,
    "keyed": _totals,
    "start": _seen,
}
