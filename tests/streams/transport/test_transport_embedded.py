"""The embedded transport end to end, and what is its own: sharing, locking, waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from broker_embedded import records
from broker_embedded.config import BrokerConfig
from broker_embedded.faults import Fault, Faults
from broker_embedded.lock import FolderLock
from streams.testing.transport import CHECKS, Check, check_transport, run_check
from streams.transport.committed import read_committed
from streams.transport.contract import (
    Committed,
    FencedError,
    GroupIdentity,
    TopicPartition,
    TopicSpec,
    TransportError,
    UnknownOutcomeError,
)
from streams.transport.embedded import EmbeddedTransport, FolderInUseError

AT_ONCE = BrokerConfig(group_initial_rebalance_delay_ms=0)
FLIGHTS = TopicPartition("flights", 0)
NOW_MS = time.time_ns() // 1_000_000


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Check, tmp_path: Path) -> None:
    await run_check(check, lambda: EmbeddedTransport(tmp_path, config=AT_ONCE))


def batch(*values: str) -> bytearray:
    return records.encode([None] * len(values), [value.encode() for value in values], [NOW_MS] * len(values))


async def read(transport: EmbeddedTransport, tp: TopicPartition) -> list[str]:
    return [
        (value or b"").decode()
        for fetched in await transport.fetch({tp: 0})
        for _, data in read_committed(fetched)
        for value in records.decode(data).values()
    ]


async def test_all_checks_in_one_call(tmp_path: Path) -> None:
    await check_transport(lambda: EmbeddedTransport(tmp_path, config=AT_ONCE))


async def test_a_broken_promise_is_named(tmp_path: Path) -> None:
    class Forgetful(EmbeddedTransport):
        async def committed(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed | None]:
            return dict.fromkeys(tps)

    with pytest.raises(AssertionError) as caught:
        await check_transport(lambda: Forgetful(tmp_path))
    assert "contract of a transport: a_commit_shows_everything_together" in caught.value.__notes__[0]


async def started(folder: Path, **fields: Any) -> EmbeddedTransport:
    transport = EmbeddedTransport(folder, **fields)
    await transport.start()
    return transport


async def test_a_process_shares_a_folder(tmp_path: Path) -> None:
    one = await started(tmp_path)
    (tmp_path / "x").mkdir()
    two = await started(tmp_path / "x" / "..")
    assert one.cluster is two.cluster
    await one.create([TopicSpec("flights")])
    await one.stop()
    with pytest.raises(TransportError, match="is not started"):
        await one.latest([FLIGHTS])
    assert await two.latest([FLIGHTS]) == {FLIGHTS: 0}
    await two.stop()
    await two.stop()
    FolderLock.take(tmp_path).release()


async def test_who_holds_the_folder_is_said(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path)
    with pytest.raises(FolderInUseError, match="One process serves a folder at a time"):
        await started(tmp_path)
    lock.release()
    await (await started(tmp_path)).stop()


async def test_a_start_waits_for_a_stop(tmp_path: Path) -> None:
    one = await started(tmp_path)
    stopping = asyncio.create_task(one.stop())
    await asyncio.sleep(0)
    two = await started(tmp_path)
    assert stopping.done()
    await two.stop()


async def test_a_stop_goes_on_when_cancelled(tmp_path: Path) -> None:
    one = await started(tmp_path)
    stopping = asyncio.create_task(one.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await (await started(tmp_path)).stop()


async def test_another_loop_is_refused(tmp_path: Path) -> None:
    one = await started(tmp_path)

    def elsewhere() -> None:
        asyncio.run(EmbeddedTransport(tmp_path).start())

    with pytest.raises(TransportError, match="open in another event loop"):
        await asyncio.to_thread(elsewhere)
    await one.stop()


async def test_start_and_stop_twice(tmp_path: Path) -> None:
    transport = await started(tmp_path)
    await transport.start()
    await transport.stop()
    await transport.stop()
    await transport.start()
    await transport.stop()


async def test_virtual_time(tmp_path: Path) -> None:
    """With a clock of its own and no ticker, a transaction times out when the caller says so."""
    now = [0]
    transport = await started(tmp_path, now_ms=lambda: now[0], tick_interval_ms=None)
    await transport.create([TopicSpec("flights")])
    producer = transport.producer(transactional_id="t", transaction_timeout_ms=1000)
    await producer.start()
    await producer.begin()
    await producer.send(FLIGHTS, batch("a"))
    now[0] = 1001
    transport.cluster.tick()
    with pytest.raises(FencedError, match="no longer owns transactional id 't'"):
        await producer.commit()
    await transport.stop()


async def test_an_unknown_outcome_is_settled_by_a_start(tmp_path: Path) -> None:
    transport = await started(tmp_path)
    await transport.create([TopicSpec("flights")])
    producer = transport.producer(transactional_id="t")
    for after, found in ((True, ["a"]), (False, ["a"])):
        await producer.start()
        await producer.begin()
        await producer.send(FLIGHTS, batch("a"))
        transport.cluster.faults = Faults().add(Fault(api_key=26, error=56, after=after))
        with pytest.raises(UnknownOutcomeError, match="producer 't': injected fault"):
            await producer.commit()
        with pytest.raises(TransportError, match=r"in doubt about its last commit.*start it again"):
            await producer.begin()
        assert await read(transport, FLIGHTS) == found
    await producer.start()
    await transport.stop()


async def test_a_send_that_fails_can_be_repeated(tmp_path: Path) -> None:
    """The sequence counts what was written, not what was tried."""
    transport = await started(tmp_path)
    await transport.create([TopicSpec("flights")])
    producer = transport.producer(transactional_id="t")
    await producer.start()
    await producer.begin()
    await producer.send(FLIGHTS, batch("a"))
    with pytest.raises(TransportError, match=r"flights-0: .*MESSAGE_TOO_LARGE"):
        await producer.send(FLIGHTS, batch("x" * 2_000_000))
    await producer.send(FLIGHTS, batch("b"))
    await producer.commit()
    assert await read(transport, FLIGHTS) == ["a", "b"]
    await transport.stop()


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    transport = await started(tmp_path)
    await transport.create([TopicSpec("flights", 2)])
    producer = transport.producer(transactional_id="worker-0")
    await producer.start()
    await producer.begin()
    await producer.send(FLIGHTS, batch("a", "b"))
    await producer.send_offsets(GroupIdentity("app"), {FLIGHTS: Committed(7, "note")})
    await producer.commit()
    await transport.stop()

    again = await started(tmp_path)
    assert await read(again, FLIGHTS) == ["a", "b"]
    assert await again.committed("app", [FLIGHTS]) == {FLIGHTS: Committed(7, "note")}
    await again.stop()
