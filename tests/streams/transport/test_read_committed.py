"""The read_committed filter against a plain reading of the whole log, over random transactions and fetches."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded import records
from streams.transport.committed import read_committed
from streams.transport.contract import DamagedLogError, Fetched, Producer, TopicPartition, TopicSpec
from streams.transport.embedded import EmbeddedTransport

TP = TopicPartition("t", 0)

# What one of three producers does: send a batch of 1 to 3 records, commit, abort. Producer 3 has no transactions.
steps = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["send", "send", "commit", "abort"]), st.integers(1, 3)), max_size=30
)


def batch(first: int, count: int) -> bytearray:
    return records.encode([None] * count, [str(first + n).encode() for n in range(count)], [0] * count)


async def play(transport: EmbeddedTransport, script: list[tuple[int, str, int]]) -> list[int]:
    """Run the steps; the numbers that were committed, in the order of the log."""
    producers: list[Producer] = [transport.producer(transactional_id=f"p{n}") for n in range(3)] + [
        transport.producer()
    ]
    for producer in producers:
        await producer.start()
    sent: list[list[tuple[int, int]]] = [[] for _ in producers]
    committed: list[tuple[int, int]] = []
    number = 0
    is_open = [False] * 3
    for who, step, count in script:
        if who < 3 and not is_open[who]:
            await producers[who].begin()
            is_open[who] = True
        if step == "send":
            offset = await producers[who].send(TP, batch(number, count))
            rows = [(offset + n, number + n) for n in range(count)]
            (committed if who == 3 else sent[who]).extend(rows)
            number += count
        elif who < 3:
            await (producers[who].commit() if step == "commit" else producers[who].abort())
            committed += sent[who] if step == "commit" else []
            sent[who], is_open[who] = [], False
    for who in range(3):
        if is_open[who]:
            await producers[who].abort()
    return [value for _, value in sorted(committed)]


async def read(transport: EmbeddedTransport, start: int, partition_max_bytes: int) -> list[tuple[int, int]]:
    end = (await transport.latest([TP]))[TP]
    rows: list[tuple[int, int]] = []
    while start < end:
        (fetched,) = await transport.fetch({TP: start}, partition_max_bytes=partition_max_bytes)
        for _, data in read_committed(fetched):
            columns = records.decode(data)
            pairs = zip(columns.offsets.tolist(), columns.values(), strict=True)
            rows += [(offset, int(value or b"")) for offset, value in pairs if offset >= start]
        start = fetched.next_offset
    return rows


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(0, 40), st.sampled_from([1, 150, 400, 1 << 20]))
def test_only_committed_data_in_order(script: list[tuple[int, str, int]], start: int, max_bytes: int) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            transport = EmbeddedTransport(Path(folder), tick_interval_ms=None, now_ms=lambda: 0)
            await transport.start()
            await transport.create([TopicSpec("t")])
            committed = await play(transport, script)
            rows = await read(transport, 0, max_bytes)
            assert [value for _, value in rows] == committed
            assert await read(transport, start, max_bytes) == [row for row in rows if row[0] >= start]
            await transport.stop()

    asyncio.run(main())


def fetched(*batches: bytearray, start: int = 0, aborted: list[tuple[int, int]]) -> Fetched:
    return Fetched(TP, [memoryview(b"".join(batches))], start, 0, 0, 0, 0, aborted)


def transactional(producer_id: int, offset: int) -> bytearray:
    return records.encode(
        [None], [b"v"], [0], base_offset=offset, is_transactional=True, producer_id=producer_id, producer_epoch=0
    )


def marker(producer_id: int, offset: int, commit: bool) -> bytearray:
    return records.encode_control(
        commit=commit, producer_id=producer_id, producer_epoch=0, timestamp=0, base_offset=offset
    )


def offsets(fetch: Fetched) -> list[int]:
    return [header.base_offset for header, _ in read_committed(fetch)]


def test_an_abort_that_began_before_the_fetch() -> None:
    data = [transactional(1, 5), marker(1, 6, False), transactional(1, 7), marker(1, 8, True)]
    assert offsets(fetched(*data, start=5, aborted=[(1, 2)])) == [7]


def test_aborted_twice_and_committed_between() -> None:
    data = [transactional(1, 0), marker(1, 1, False), transactional(1, 2), marker(1, 3, True)]
    data += [transactional(1, 4), marker(1, 5, False)]
    assert offsets(fetched(*data, aborted=[(1, 0), (1, 4)])) == [2]


def test_batches_before_the_start_are_left_out() -> None:
    assert offsets(fetched(transactional(1, 0), transactional(1, 1), start=1, aborted=[])) == [1]
    assert offsets(fetched(transactional(1, 0), transactional(1, 1), start=1, aborted=[(2, 0)])) == [1]


def test_a_changed_byte_is_found_before_the_batch_is_read() -> None:
    data = batch(100, 3)
    data[data.index(b"101")] = ord("9")
    fetched = Fetched(TP, [memoryview(data)], 0, 3, 3, 3, 0)
    with pytest.raises(
        DamagedLogError, match=r"t-0: the log is damaged: batch at offset 0.*CRC-32C.*Put the folder back"
    ):
        list(read_committed(fetched))
