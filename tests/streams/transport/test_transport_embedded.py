"""The embedded transport end to end, and what is its own: sharing, locking, waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_embedded import records
from streams.testing.transport import CHECKS, Check, run_check
from streams.transport.committed import read_committed
from streams.transport.contract import Committed, TopicPartition, TopicSpec
from streams.transport.embedded import EmbeddedTransport

FLIGHTS = TopicPartition("flights", 0)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Check, tmp_path: Path) -> None:
    await run_check(check, lambda: EmbeddedTransport(tmp_path))


def batch(*values: str) -> bytearray:
    return records.encode([None] * len(values), [value.encode() for value in values], [0] * len(values))


async def read(transport: EmbeddedTransport, tp: TopicPartition) -> list[str]:
    return [
        (value or b"").decode()
        for fetched in await transport.fetch({tp: 0})
        for _, data in read_committed(fetched)
        for value in records.decode(data).values()
    ]


async def test_commit_shows_records_and_offsets_together(tmp_path: Path) -> None:
    transport = EmbeddedTransport(tmp_path)
    await transport.start()
    await transport.create([TopicSpec("flights", 2)])
    producer = transport.producer(transactional_id="worker-0")
    await producer.start()
    await producer.begin()
    assert await producer.send(FLIGHTS, batch("a", "b")) == 0
    assert await producer.send(FLIGHTS, batch("c")) == 2
    await producer.send_offsets("app", {FLIGHTS: Committed(7, "note")})
    assert await read(transport, FLIGHTS) == []
    await producer.commit()
    assert await read(transport, FLIGHTS) == ["a", "b", "c"]
    assert await transport.committed("app", [FLIGHTS]) == {FLIGHTS: Committed(7, "note")}
    await transport.stop()

    again = EmbeddedTransport(tmp_path)
    await again.start()
    assert await read(again, FLIGHTS) == ["a", "b", "c"]
    assert await again.committed("app", [FLIGHTS]) == {FLIGHTS: Committed(7, "note")}
    await again.stop()
