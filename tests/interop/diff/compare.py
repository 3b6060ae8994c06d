"""Two answers, field by field; what every broker chooses for itself counts only as there or not there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from tests.interop.diff.broker import Exchange
from tests.interop.diff.messages import Row

OWN = {
    *("clusterId", "port", "topicId", "producerId", "memberId", "leader", "sessionId", "epoch", "generationId"),
    *("currentTimestamp", "lastTimestamp", "transactionStartTimeMs", "finalizedFeaturesEpoch", "directoryId"),
    *("usableBytes", "totalBytes", "logDir", "logEndOffset", "lastFetchTimestamp", "lastCaughtUpTimestamp"),
}
UNSEEN = {"throttleTimeMs", "documentation"}
"""Not compared."""


_NAMES = (
    *("name", "topic", "groupId", "apiKey", "partitionIndex", "partition", "nodeId", "key", "entityType", "entityName"),
    *("resourceName", "patternType", "principal", "host", "operation", "errorCode"),
)
_MISSING = "(no such field)"


class Difference(NamedTuple):
    """Where two answers differ."""

    scenario: str
    step: int
    api: str
    version: int
    path: str
    kafka: Any
    ours: Any
    asked: Row | None = None

    def __str__(self) -> str:
        asked = "" if self.asked is None else f"\n    asked {_short(self.asked)}"
        where = f"{self.scenario} [{self.step}] {self.api} v{self.version}: {self.path}{asked}"
        return f"{where}\n    kafka {_short(self.kafka)}\n    ours  {_short(self.ours)}"


def _short(value: Any, most: int = 400) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def compare(scenario: str, kafka: list[Exchange], ours: list[Exchange]) -> Iterator[Difference]:
    """What differs in the answers of two runs of a scenario, up to the first exchange that is another one."""
    for step, (one, other) in enumerate(zip(kafka, ours, strict=False)):
        for path, left, right in _differences("", one.answer, other.answer):
            yield Difference(scenario, step, one.api, one.version, path, left, right, other.fields)
        if one.api != other.api:
            return


def _differences(path: str, kafka: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(kafka, dict) and isinstance(ours, dict):
        for name in kafka | ours:
            yield from _field(f"{path}.{name}" if path else name, name, kafka, ours)
    elif isinstance(kafka, list) and isinstance(ours, list):
        left, right = _sorted(kafka), _sorted(ours)
        if len(left) != len(right):
            yield f"{path}[]", kafka, ours
            return
        for index, both in enumerate(zip(left, right, strict=True)):
            yield from _differences(f"{path}[{index}]", *both)
    elif kafka != ours:
        yield path, kafka, ours


def _field(path: str, name: str, kafka: dict[str, Any], ours: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    if name in UNSEEN:
        return
    left, right = kafka.get(name, _MISSING), ours.get(name, _MISSING)
    plain = _MISSING not in (left, right) and not isinstance(left, list | dict)
    if name == "errorMessage":  # ours may say more, and say it otherwise
        if left and not right:
            yield path, left, right
    elif name == "records" and isinstance(left, bytes) and isinstance(right, bytes):
        if _without_producers(left) != _without_producers(right):
            yield path, left, right
    elif name in OWN and plain:
        if _is_something(name, left) != _is_something(name, right):
            yield path, left, right
    else:
        yield from _differences(path, left, right)


def _is_something(name: str, value: Any) -> bool:
    if isinstance(value, int):
        return value > 0 if name == "sessionId" else value >= 0
    return value not in (None, "", UUID(int=0))


def _without_producers(batches: bytes) -> bytes:
    """Record batches without the ids that brokers give to producers, and without what follows from them."""
    out, at = bytearray(batches), 0
    while at + 61 <= len(out):
        (length,) = struct.unpack_from(">i", out, at + 8)
        struct.pack_into(">I", out, at + 17, 0)
        struct.pack_into(">q", out, at + 43, 0)
        at += 12 + length
    return bytes(out)


def _sorted(rows: list[Any]) -> list[Any]:
    """Rows in the order of what names them: brokers answer from maps."""
    if not all(isinstance(row, dict) for row in rows):
        return sorted(rows, key=repr)
    return sorted(rows, key=lambda row: [repr(row[name]) for name in _NAMES if name in row] + [repr(_shared(row))])


def _shared(value: Any) -> Any:
    """Without what every broker chooses for itself."""
    if isinstance(value, dict):
        return {name: _shared(part) for name, part in value.items() if name not in OWN}
    return [_shared(part) for part in value] if isinstance(value, list) else value
