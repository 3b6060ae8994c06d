"""A store is ahead of its log if the change before its checkpoint is no longer committed."""

from __future__ import annotations

from pathlib import Path

from broker_embedded import records
from streams.runtime.undone import undone
from streams.transport.contract import TopicPartition, TopicSpec
from streams.transport.embedded import EmbeddedTransport

CHANGES = TopicPartition("changes", 0)
OTHERS = TopicPartition("others", 0)


async def test_aborted_changes_and_markers_are_undone(tmp_path: Path) -> None:
    transport = EmbeddedTransport(tmp_path)
    await transport.start()
    await transport.create([TopicSpec(CHANGES.topic, 1), TopicSpec(OTHERS.topic, 1)])
    producer = transport.producer(transactional_id="worker")
    await producer.start()
    for commit in (True, False, True):
        await producer.begin()
        for count in (2, 1):  # offsets 0-2 and a marker, 4-6 and a marker, 8-10 and a marker
            await producer.send(CHANGES, records.encode([b"k"] * count, [b"v"] * count, [0] * count))
        await (producer.commit() if commit else producer.abort())
    tps = [CHANGES, OTHERS]
    starts, ends = await transport.earliest(tps), await transport.latest(tps)
    assert ends[CHANGES] == 12
    asked = [(CHANGES, offset) for offset in range(20)] + [(OTHERS, 0), (OTHERS, 3)]
    found = await undone(transport, asked, starts, ends)
    await transport.stop()
    assert found == {(CHANGES, offset) for offset in (4, 5, 6, 7, 8, 12)}
