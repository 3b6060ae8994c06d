"""The contract of a transport as checks, for whoever writes one.

Each check takes a started transport and makes topics of its own, so one broker serves all of them:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_contract(check):
        await run_check(check, lambda: MyTransport(...))

One list of small checks makes this file long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from itertools import count
from typing import Any
from uuid import uuid4

from broker_embedded import records
from streams.transport.committed import read_committed
from streams.transport.contract import (
    Committed,
    FencedError,
    GroupIdentity,
    Isolation,
    OffsetOutOfRangeError,
    Producer,
    StaleGenerationError,
    TopicMismatchError,
    TopicPartition,
    TopicSpec,
    Transport,
    TransportError,
    UnknownTopicError,
)
from streams.transport.group.member import GroupMember
from streams.transport.group.protocol import Assignment, Subscription

Check = Callable[[Transport], Awaitable[None]]

CHECKS: list[Check] = []

_LONG_MS = 30_000  # for waits that something ends: long enough never to matter


async def check_transport(make: Callable[[], Transport]) -> None:
    """Run every check, each on a transport of its own from `make`. Raises AssertionError with the check's name."""
    for check in CHECKS:
        await run_check(check, make)


async def run_check(check: Check, make: Callable[[], Transport]) -> None:
    """Run one check on a transport from `make`, started and stopped around it."""
    transport = make()
    await transport.start()
    try:
        await check(transport)
    except AssertionError as error:
        error.add_note(f"contract of a transport: {check.__name__} ({check.__doc__})")
        raise
    finally:
        await transport.stop()


def _check(function: Check) -> Check:
    CHECKS.append(function)
    return function


# What the checks are written with

_numbers = count()


def _name(kind: str) -> str:
    return f"check-{kind}-{next(_numbers)}-{uuid4().hex[:8]}"


async def _topic(transport: Transport, partitions: int = 1, **configs: str) -> list[TopicPartition]:
    name = _name("topic")
    settings = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in configs.items()}
    await transport.create([TopicSpec(name, partitions, settings)])
    return [TopicPartition(name, index) for index in range(partitions)]


async def _producer(transport: Transport, transactional_id: str | None = None) -> Producer:
    producer = transport.producer(transactional_id=transactional_id)
    await producer.start()
    return producer


async def _transaction(transport: Transport, transactional_id: str | None = None) -> Producer:
    producer = await _producer(transport, transactional_id or _name("producer"))
    await producer.begin()
    return producer


def _batch(*values: str, timestamps: list[int] | None = None) -> bytearray:
    return records.encode([None] * len(values), [value.encode() for value in values], timestamps or [0] * len(values))


async def _read(
    transport: Transport, tp: TopicPartition, start: int = 0, *, isolation: Isolation = "read_committed"
) -> list[str]:
    """The values a reader finds from `start` to the end as of now."""
    end = (await transport.latest([tp], isolation))[tp]
    values: list[str] = []
    while start < end:
        for fetched in await transport.fetch({tp: start}, isolation=isolation, wait_ms=_LONG_MS):
            assert fetched.next_offset > start, "a fetch leads on"
            for _, batch in read_committed(fetched):
                columns = records.decode(batch)
                pairs = zip(columns.offsets.tolist(), columns.values(), strict=True)
                values += [(value or b"").decode() for offset, value in pairs if offset >= start]
            start = fetched.next_offset
    return values


async def _settled(transport: Transport, *tps: TopicPartition) -> None:
    """Wait until readers see what was decided: the brokers of a cluster may write it down after they have said so."""
    while await transport.latest(tps) != await transport.latest(tps, "read_uncommitted"):
        await asyncio.sleep(0)


async def _raises(kind: type[Exception], work: Coroutine[Any, Any, Any]) -> Exception:
    try:
        await work
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} expected")


# Topics


@_check
async def topics_are_made_once(transport: Transport) -> None:
    """create makes what is missing, with its configs; making it again changes nothing."""
    name = _name("topic")
    assert await transport.describe([name]) == {}
    await transport.create([TopicSpec(name, 3, {"retention.ms": "-1"})])
    await transport.create([TopicSpec(name, 3), TopicSpec(name + "-b", 1)])
    found = await transport.describe([name, name + "-b", name + "-c"])
    assert set(found) == {name, name + "-b"}
    assert (found[name].partitions, found[name].configs["retention.ms"]) == (3, "-1")


@_check
async def another_partition_count_is_an_error(transport: Transport) -> None:
    """A topic that exists with another number of partitions is TopicMismatchError, with both numbers."""
    (tp,) = await _topic(transport)
    error = await _raises(TopicMismatchError, transport.create([TopicSpec(tp.topic, 4)]))
    assert isinstance(error, TopicMismatchError)
    assert (error.topic, error.wanted, error.found) == (tp.topic, 4, 1)


@_check
async def a_topic_made_again_is_another(transport: Transport) -> None:
    """Deleting takes records and committed offsets along; the new topic of that name has another id."""
    (tp,) = await _topic(transport)
    producer = await _transaction(transport)
    await producer.send(tp, _batch("old"))
    await producer.send_offsets(GroupIdentity("group"), {tp: Committed(1)})
    await producer.commit()
    before = (await transport.describe([tp.topic]))[tp.topic].topic_id
    await transport.delete([tp.topic, _name("missing")])
    assert await transport.describe([tp.topic]) == {}
    await transport.create([TopicSpec(tp.topic, 1)])
    assert (await transport.describe([tp.topic]))[tp.topic].topic_id != before
    assert await transport.latest([tp]) == {tp: 0}
    assert await transport.committed("group", [tp]) == {tp: None}


@_check
async def configs_are_altered_one_by_one(transport: Transport) -> None:
    """alter sets what it names and leaves the rest; a bad value is an error."""
    (tp,) = await _topic(transport, retention_ms="1000")
    await transport.alter(tp.topic, {"segment.bytes": "1048576"})
    configs = (await transport.describe([tp.topic]))[tp.topic].configs
    assert (configs["retention.ms"], configs["segment.bytes"]) == ("1000", "1048576")
    await _raises(TransportError, transport.alter(tp.topic, {"segment.bytes": "many"}))
    await _raises(UnknownTopicError, transport.alter(_name("missing"), {"segment.bytes": "1048576"}))


@_check
async def a_missing_topic_is_named(transport: Transport) -> None:
    """Reading, writing and asking for offsets of a topic that does not exist is UnknownTopicError."""
    tp = TopicPartition(_name("missing"), 0)
    producer = await _producer(transport)
    for work in (transport.latest([tp]), transport.fetch({tp: 0}), producer.send(tp, _batch("a"))):
        assert tp.topic in str(await _raises(UnknownTopicError, work))


# Batches


@_check
async def batches_cross_as_they_are(transport: Transport) -> None:
    """Keys, values, nulls, headers, timestamps and codec come back as sent; offsets count on."""
    (tp,) = await _topic(transport)
    producer = await _producer(transport)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        sent = ([b"k", None], [None, b"v"], [5, 7], [[("h", b"1"), ("n", None)], []])
        offset = await producer.send(tp, records.encode(*sent, codec=codec))
        (fetched,) = await transport.fetch({tp: offset}, wait_ms=_LONG_MS)
        ((header, batch),) = read_committed(fetched)
        columns = records.decode(batch)
        found = (columns.keys(), columns.values(), columns.timestamps.tolist(), columns.headers())
        assert found == sent
        assert (header.codec, columns.offsets.tolist()) == (codec, [offset, offset + 1])
        records.verify(batch)


@_check
async def a_batch_comes_whole(transport: Transport) -> None:
    """A position inside a batch gives all of it; a position behind it does not."""
    (tp,) = await _topic(transport)
    producer = await _producer(transport)
    await producer.send(tp, _batch("a", "b", "c"))
    await producer.send(tp, _batch("d"))
    (fetched,) = await transport.fetch({tp: 1})
    first = next(iter(read_committed(fetched)))[0]
    assert (fetched.start_offset, first.base_offset, fetched.next_offset) == (1, 0, 4)
    assert await _read(transport, tp, 1) == ["b", "c", "d"]
    assert await _read(transport, tp, 3) == ["d"]


@_check
async def limits_leave_one_batch(transport: Transport) -> None:
    """partition_max_bytes cuts between batches, but the first comes even if it is larger."""
    (tp,) = await _topic(transport)
    producer = await _producer(transport)
    for value in "abc":
        await producer.send(tp, _batch(value * 1000))
    (fetched,) = await transport.fetch({tp: 0}, partition_max_bytes=1)
    assert fetched.next_offset == 1
    (fetched,) = await transport.fetch({tp: 0}, partition_max_bytes=2500)
    assert fetched.next_offset == 2
    (fetched,) = await transport.fetch({tp: 0}, max_bytes=1)
    assert fetched.next_offset == 1


@_check
async def no_partition_starves(transport: Transport) -> None:
    """With a limit below what the partitions hold, a few fetches have served them all."""
    tps = await _topic(transport, 4)
    producer = await _producer(transport)
    for tp in tps:
        await producer.send(tp, _batch("x" * 1000))
    served = set()
    for _ in range(8):
        served |= {fetched.tp for fetched in await transport.fetch(dict.fromkeys(tps, 0), max_bytes=1000)}
    assert served == set(tps)


@_check
async def outside_of_the_log_is_an_error(transport: Transport) -> None:
    """A position before the start or behind the end is OffsetOutOfRangeError with both ends."""
    (tp,) = await _topic(transport)
    producer = await _producer(transport)
    await producer.send(tp, _batch("a", "b"))
    await producer.send(tp, _batch("c"))
    await transport.delete_records({tp: 2})
    assert await transport.earliest([tp]) == {tp: 2}
    for offset in (0, 4):
        error = await _raises(OffsetOutOfRangeError, transport.fetch({tp: offset}))
        assert isinstance(error, OffsetOutOfRangeError)
        assert (error.tp, error.offset, error.earliest, error.latest) == (tp, offset, 2, 3)
    assert await _read(transport, tp, 2) == ["c"]


@_check
async def a_fetch_waits_for_data(transport: Transport) -> None:
    """At the end of the log a fetch waits, lets others run, and answers when something comes."""
    (quiet, tp) = await _topic(transport, 2)
    assert await transport.fetch({tp: 0}) == []
    assert await transport.fetch({tp: 0}, wait_ms=1) == []
    waiting = asyncio.create_task(transport.fetch({quiet: 0, tp: 0}, wait_ms=_LONG_MS))
    await asyncio.sleep(0)
    producer = await _producer(transport)
    await producer.send(tp, _batch("a"))
    (fetched,) = await waiting
    assert fetched.tp == tp


@_check
async def a_committed_fetch_waits_for_the_commit(transport: Transport) -> None:
    """Undecided data does not wake a read_committed reader, its commit does."""
    (tp,) = await _topic(transport)
    producer = await _transaction(transport)
    await producer.send(tp, _batch("a"))
    waiting = asyncio.create_task(transport.fetch({tp: 0}, wait_ms=_LONG_MS))
    await asyncio.sleep(0)
    await producer.send(tp, _batch("b"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await producer.commit()
    (fetched,) = await waiting
    assert fetched.last_stable_offset > 1


@_check
async def offsets_by_time(transport: Transport) -> None:
    """at_time finds the first record at or after a time, inside a batch too; the end where there is none."""
    (tp,) = await _topic(transport)
    producer = await _producer(transport)
    await producer.send(tp, _batch("a", "b", timestamps=[1000, 2000]))
    await producer.send(tp, _batch("c", timestamps=[3000]))
    for ms, offset in ((0, 0), (1001, 1), (2000, 1), (2001, 2), (3001, 3)):
        assert await transport.at_time([tp], ms) == {tp: offset}


# Transactions


@_check
async def a_commit_shows_everything_together(transport: Transport) -> None:
    """Records of all partitions and the group's offsets are hidden before the commit and visible after."""
    (a, b) = await _topic(transport, 2)
    group = _name("group")
    producer = await _transaction(transport)
    assert await producer.send(a, _batch("a1")) == 0
    await producer.send(b, _batch("b1", "b2"))
    assert await producer.send(a, _batch("a2")) == 1
    await producer.send_offsets(GroupIdentity(group), {a: Committed(17, "note"), b: Committed(4)})
    assert (await _read(transport, a), await _read(transport, b)) == ([], [])
    assert await _read(transport, a, isolation="read_uncommitted") == ["a1", "a2"]
    assert await transport.latest([a, b]) == {a: 0, b: 0}
    await producer.commit()
    await _settled(transport, a, b)
    assert (await _read(transport, a), await _read(transport, b)) == (["a1", "a2"], ["b1", "b2"])
    assert await transport.committed(group, [a, b]) == {a: Committed(17, "note"), b: Committed(4)}


@_check
async def offsets_outside_of_a_transaction_are_visible_at_once(transport: Transport) -> None:
    """A producer without a transactional id sends records and offsets as they come."""
    (tp,) = await _topic(transport)
    group = _name("group")
    producer = await _producer(transport)
    await producer.send(tp, _batch("a"))
    await producer.send_offsets(GroupIdentity(group), {tp: Committed(1, "note")})
    assert await transport.committed(group, [tp]) == {tp: Committed(1, "note")}
    await producer.send_offsets(GroupIdentity(group), {tp: Committed(0)})
    assert await transport.committed(group, [tp]) == {tp: Committed(0)}
    missing = TopicPartition(tp.topic, 7)
    await _raises(UnknownTopicError, producer.send_offsets(GroupIdentity(group), {missing: Committed(1)}))


@_check
async def an_abort_hides_everything(transport: Transport) -> None:
    """Aborted records are never read, aborted offsets never seen; the producer goes on."""
    (tp,) = await _topic(transport)
    group = _name("group")
    producer = await _transaction(transport)
    await producer.send(tp, _batch("lost"))
    await producer.send_offsets(GroupIdentity(group), {tp: Committed(1)})
    await producer.abort()
    assert await transport.committed(group, [tp]) == {tp: None}
    await producer.begin()
    await producer.send(tp, _batch("kept"))
    await producer.send_offsets(GroupIdentity(group), {tp: Committed(2)})
    await producer.commit()
    await _settled(transport, tp)
    assert await _read(transport, tp) == ["kept"]
    assert await transport.committed(group, [tp]) == {tp: Committed(2)}


@_check
async def a_reader_arrives_at_the_end(transport: Transport) -> None:
    """next_offset leads past control batches and aborted data, so that a reader reaches `latest` whatever is last."""
    (tp,) = await _topic(transport)
    producer = await _transaction(transport)
    await producer.send(tp, _batch("a"))
    await producer.commit()
    await producer.begin()
    await producer.send(tp, _batch("lost"))
    await producer.abort()
    await _settled(transport, tp)
    position, end = 0, (await transport.latest([tp]))[tp]
    while position < end:
        (fetched,) = await transport.fetch({tp: position})
        position = fetched.next_offset
    assert position == end
    assert await transport.fetch({tp: end}) == []


@_check
async def transactions_interleave(transport: Transport) -> None:
    """Two producers in one partition: a reader stops at the first undecided record and sees all in offset order."""
    (tp,) = await _topic(transport)
    one, two = await _transaction(transport), await _transaction(transport)
    await one.send(tp, _batch("1a"))
    await two.send(tp, _batch("2a"))
    await one.send(tp, _batch("1b"))
    await two.commit()
    assert await _read(transport, tp) == []
    assert await transport.latest([tp]) == {tp: 0}
    await one.abort()
    await _settled(transport, tp)
    assert await _read(transport, tp) == ["2a"]
    await one.begin()
    await one.send(tp, _batch("1c"))
    await one.commit()
    await _settled(transport, tp)
    assert await _read(transport, tp) == ["2a", "1c"]
    assert await _read(transport, tp, 2) == ["1c"]


@_check
async def an_empty_transaction_is_fine(transport: Transport) -> None:
    """Commit and abort with nothing in between."""
    producer = await _transaction(transport)
    await producer.commit()
    await producer.begin()
    await producer.abort()


@_check
async def calls_out_of_order_are_errors(transport: Transport) -> None:
    """What needs a transaction says so, and a second begin too."""
    (tp,) = await _topic(transport)
    producer = await _producer(transport, _name("producer"))
    for work in (
        producer.send(tp, _batch("a")),
        producer.send_offsets(GroupIdentity("g"), {}),
        producer.commit(),
        producer.abort(),
    ):
        await _raises(TransportError, work)
    await producer.begin()
    await _raises(TransportError, producer.begin())
    await producer.close()
    await _raises(TransportError, producer.begin())
    await _raises(TransportError, (await _producer(transport)).begin())


@_check
async def a_newer_instance_shuts_older_ones_out(transport: Transport) -> None:
    """The start of a producer aborts what its id left open; the older one gets FencedError for all it tries."""
    (tp, other) = await _topic(transport, 2)
    group, transactional_id = _name("group"), _name("producer")
    old = await _transaction(transport, transactional_id)
    await old.send(tp, _batch("lost"))
    await old.send_offsets(GroupIdentity(group), {tp: Committed(1)})
    new = await _producer(transport, transactional_id)
    assert await transport.committed(group, [tp]) == {tp: None}
    for work in (
        old.send(tp, _batch("x")),
        old.send(other, _batch("x")),
        old.send_offsets(GroupIdentity(group), {tp: Committed(9)}),
        old.commit(),
    ):
        await _raises(FencedError, work)
    await new.begin()
    await new.send(tp, _batch("kept"))
    await new.commit()
    await _settled(transport, tp)
    assert (await _read(transport, tp), await _read(transport, other)) == (["kept"], [])


@_check
async def only_members_commit_for_a_group(transport: Transport) -> None:
    """Offsets of another generation are refused and the transaction goes on; those of a former member never pass."""
    (tp,) = await _topic(transport)
    role, group = _Alone(), _name("group")
    member = GroupMember(transport.asks, group, role, session_timeout_ms=_LONG_MS)
    running = asyncio.create_task(member.run())
    await asyncio.wait([running, *role.waiting], return_when=asyncio.FIRST_COMPLETED)
    me = member.identity
    plain, producer = await _producer(transport), await _transaction(transport)
    for sender in (plain, producer):
        await _raises(StaleGenerationError, sender.send_offsets(me._replace(generation=99), {tp: Committed(1)}))
        await _raises(FencedError, sender.send_offsets(me._replace(member_id="nobody"), {tp: Committed(1)}))
        await sender.send_offsets(me, {tp: Committed(2)})
    await _raises(FencedError, plain.send_offsets(GroupIdentity(group), {tp: Committed(3)}))
    await producer.commit()
    running.cancel()
    await asyncio.wait([running])
    await member.leave()
    await producer.begin()
    for sender in (plain, producer):
        await _raises(FencedError, sender.send_offsets(me, {tp: Committed(4)}))
    await producer.abort()
    assert await transport.committed(group, [tp]) == {tp: Committed(2)}


class _Alone:
    """The role of a member that shares with nobody."""

    def __init__(self) -> None:
        self.waiting = [asyncio.get_running_loop().create_future()]

    def subscription(self) -> Subscription:
        return Subscription()

    async def assign(self, members: Mapping[str, Subscription]) -> Mapping[str, Assignment]:
        return dict.fromkeys(members, Assignment())

    def assigned(self, assignment: Assignment) -> None:
        self.waiting[0].set_result(None)

    def lost(self) -> None: ...


@_check
async def close_aborts(transport: Transport) -> None:
    """Closing a producer ends its open transaction, so that readers are not held up."""
    (tp,) = await _topic(transport)
    producer = await _transaction(transport)
    await producer.send(tp, _batch("lost"))
    await producer.close()
    later = await _producer(transport)
    await later.send(tp, _batch("kept"))
    await _settled(transport, tp)
    assert await _read(transport, tp) == ["kept"]


@_check
async def undecided_offsets_are_waited_for(transport: Transport) -> None:
    """committed does not answer from before a transaction that is about to be decided."""
    (tp,) = await _topic(transport)
    group = _name("group")
    producer = await _transaction(transport)
    await producer.send(tp, _batch("a"))
    await producer.send_offsets(GroupIdentity(group), {tp: Committed(5)})
    asking = asyncio.create_task(transport.committed(group, [tp]))
    await asyncio.sleep(0)
    assert not asking.done()
    await producer.commit()
    assert await asking == {tp: Committed(5)}


@_check
async def a_group_nobody_knows_has_no_offsets(transport: Transport) -> None:
    """None, and no error."""
    (tp,) = await _topic(transport)
    assert await transport.committed(_name("group"), [tp]) == {tp: None}
