"""An outbox against a broker in a few lines, which takes, refuses and loses what it is sent: everything that is
acknowledged is there once and in order.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded import records
from streams.transport.contract import ConnectionLostError, TopicPartition, TransportError
from streams.transport.error_codes import BusyError, RetryError
from streams.transport.kafka.outbox import Entry, ForgottenError, Outbox, may_pass

Fate = Literal["taken", "elsewhere", "answer lost", "never came"]
FATES: tuple[Fate, ...] = ("taken", "elsewhere", "answer lost", "never came")


class Log:
    """Takes a batch whose number follows; knows the last five again."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.next = 0
        self.known: dict[int, int] = {}

    def take(self, entry: Entry) -> int | TransportError:
        sequence = records.read_header(entry.batch).base_sequence
        if sequence in self.known:
            return self.known[sequence]
        if sequence != self.next:
            return RetryError("out of order")
        base = len(self.values)
        columns = records.decode(bytes(entry.batch))
        self.values += [int(value or b"") for value in columns.values()]
        self.known[sequence] = base
        self.next += entry.count
        return base


def entry(first: int, size: int) -> Entry:
    values = [str(first + at).encode() for at in range(size)]
    batch = records.encode([None] * size, values, [0] * size)  # type: ignore[arg-type]
    return Entry(batch, asyncio.get_running_loop().create_future())


@given(st.lists(st.integers(1, 3), min_size=1, max_size=12), st.lists(st.sampled_from(FATES), max_size=30))
@settings(max_examples=150, deadline=None)
def test_what_fails_is_sent_again_in_order(sizes: list[int], fates: list[Fate]) -> None:
    async def main() -> None:
        log, outbox = Log(), Outbox(TopicPartition("t", 0), (1, 0))
        entries = [entry(sum(sizes[:at]), size) for at, size in enumerate(sizes)]
        outbox.waiting.extend(entries)
        left, now_s = list(fates), 0.0
        while outbox.waiting or outbox.under_way:
            now_s += 10
            sent = []
            while outbox.ready(now_s):
                sent.append(outbox.take(now_s, is_transactional=False))
            assert len(sent) <= 5
            for one in sent:
                fate = left.pop(0) if left else "taken"
                result: int | TransportError = ConnectionLostError("never came")
                if fate in ("taken", "answer lost"):
                    result = log.take(one)
                if fate == "answer lost":
                    result = ConnectionLostError("answer lost")
                if fate == "elsewhere":
                    result = RetryError("elsewhere")
                if outbox.settle(one, result):
                    failed, has_hole = outbox.failed()
                    assert not has_hole or failed[0].was_lost
                    outbox.again(failed, now_s)
        assert log.values == list(range(sum(sizes)))
        assert [one.answer.result() for one in entries] == [sum(sizes[:at]) for at in range(len(sizes))]

    asyncio.run(main())


async def test_a_hole_is_seen() -> None:
    outbox = Outbox(TopicPartition("t", 0), (1, 0))
    outbox.waiting.extend(entry(at, 1) for at in range(3))
    first = outbox.take(0.0, is_transactional=True)
    assert not outbox.ready(0.0), "until the broker knows the producer, one at a time"
    assert not outbox.settle(first, 0)
    second, third = outbox.take(0.0, is_transactional=True), outbox.take(0.0, is_transactional=True)
    assert not outbox.settle(second, RetryError("elsewhere"))
    assert outbox.settle(third, 7)
    assert outbox.failed() == ([second], True)
    assert third.answer.result() == 7


async def test_under_another_identity_numbers_begin_anew() -> None:
    outbox = Outbox(TopicPartition("t", 0), (1, 0))
    outbox.waiting.append(entry(0, 2))
    one = outbox.take(0.0, is_transactional=False)
    assert outbox.settle(one, ForgottenError("forgotten"))
    outbox.again(outbox.failed()[0], 0.0)
    outbox.renew((2, 0))
    header = records.read_header(outbox.take(1.0, is_transactional=False).batch)
    assert (header.producer_id, header.base_sequence) == (2, 0)


def test_what_may_pass() -> None:
    assert [may_pass(error("x")) for error in (RetryError, BusyError, ConnectionLostError)] == [True] * 3
    assert not may_pass(ForgottenError("x"))
