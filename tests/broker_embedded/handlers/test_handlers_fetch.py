"""Fetch sessions, leader epochs and topic ids."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from broker_embedded.fetching.sessions import SLOTS, FetchSessions
from broker_embedded.handlers import RequestContext
from broker_embedded.wire.messages.records import (
    READ_COMMITTED,
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
    DivergingEpoch,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from broker_embedded.wire.messages.topics import DeleteTopicsRequest, DeleteTopicState

NAMES = RequestContext(api_version=12)
IDS = RequestContext(api_version=18)


class Fetcher:
    """A client of one session. `ask` gives what was answered: partition to (error, next offset)."""

    def __init__(self, client: Any, context: RequestContext = NAMES) -> None:
        self.cluster = client.cluster
        self.context = context
        self.session_id = self.epoch = 0

    async def fetch(
        self, offsets: dict[int, int], forget: tuple[int, ...] = (), topic: str = "flights", **fields: Any
    ) -> FetchResponse:
        name: dict[str, Any] = {"topic": topic}
        if self.context is IDS and (offsets or forget):
            name = {"topic_id": self.cluster.topics[topic].id if topic in self.cluster.topics else UUID(topic)}
        rows = [FetchPartition(index, offset) for index, offset in offsets.items()]
        request = FetchRequest(
            **{"max_wait_ms": 0} | fields,
            session_id=self.session_id,
            session_epoch=self.epoch,
            topics=[FetchTopic(**name, partitions=rows)] if rows else [],
            forgotten_topics_data=[ForgottenTopic(**name, partitions=list(forget))] if forget else [],
        )
        answer: FetchResponse = await self.cluster.handle(request, self.context)
        return answer

    async def ask(self, offsets: dict[int, int], **fields: Any) -> dict[int, tuple[int, int]]:
        answer = await self.fetch(offsets, **fields)
        assert answer.error_code == 0
        self.session_id = answer.session_id
        self.epoch += 1
        rows = [row for topic in answer.responses for row in topic.partitions]
        return {row.partition_index: (row.error_code, row.next_offset) for row in rows}


@pytest.fixture(autouse=True)
async def topics(client: Any) -> None:
    await client.create("flights", 3)


@pytest.fixture(params=[NAMES, IDS], ids=["names", "ids"])
def fetcher(client: Any, request: pytest.FixtureRequest) -> Fetcher:
    return Fetcher(client, request.param)


async def test_a_session_tells_all_and_then_what_changes(client: Any, fetcher: Fetcher) -> None:
    assert await fetcher.ask({0: 0, 1: 0}) == {0: (0, 0), 1: (0, 0)}
    assert fetcher.session_id > 0
    assert await fetcher.ask({}) == {}
    await client.produce("flights", "a", partition=1)
    assert await fetcher.ask({}) == {1: (0, 1)}
    assert await fetcher.ask({}) == {1: (0, 1)}  # not taken yet
    assert await fetcher.ask({1: 1}) == {}
    assert await fetcher.ask({}) == {}


async def test_partitions_come_and_go(client: Any, fetcher: Fetcher) -> None:
    await fetcher.ask({0: 0})
    assert await fetcher.ask({2: 0}) == {2: (0, 0)}
    await client.produce("flights", "a", partition=0)
    assert await fetcher.ask({}, forget=(0,)) == {}
    session_id = fetcher.session_id
    await fetcher.ask({}, forget=(2,))
    assert fetcher.session_id == 0  # nothing is left of it
    fetcher.session_id = session_id
    assert (await fetcher.fetch({})).error_code == 70
    assert not client.cluster.progress


async def test_a_session_that_nobody_knows(fetcher: Fetcher) -> None:
    fetcher.session_id, fetcher.epoch = 12, 1
    answer = await fetcher.fetch({0: 0})
    assert (answer.error_code, answer.session_id, answer.responses) == (70, 0, [])


async def test_the_epoch_must_be_the_next_one(fetcher: Fetcher) -> None:
    await fetcher.ask({0: 0})
    fetcher.epoch = 7
    assert (await fetcher.fetch({0: 0})).error_code == 71


async def test_names_and_ids_do_not_mix(client: Any, fetcher: Fetcher) -> None:
    await fetcher.ask({0: 0})
    fetcher.context = IDS if fetcher.context is NAMES else NAMES
    assert (await fetcher.fetch({})).error_code == 106


async def test_a_session_is_closed(client: Any, fetcher: Fetcher) -> None:
    await fetcher.ask({0: 0})
    fetcher.epoch = -1
    answer = await fetcher.fetch({1: 0})
    assert (answer.error_code, answer.session_id, len(answer.responses)) == (0, 0, 1)
    assert len(client.cluster.fetch_sessions) == 0
    assert not client.cluster.progress


async def test_a_full_fetch_takes_the_place_of_its_session(client: Any, fetcher: Fetcher) -> None:
    await fetcher.ask({0: 0})
    before, fetcher.epoch = fetcher.session_id, 0
    await fetcher.ask({0: 0})
    assert fetcher.session_id not in (0, before)
    assert len(client.cluster.fetch_sessions) == 1


async def test_a_waiting_fetch_is_woken_by_any_partition(client: Any, fetcher: Fetcher) -> None:
    await fetcher.ask({0: 0, 1: 0, 2: 0})
    waiting = asyncio.create_task(fetcher.ask({}, max_wait_ms=30_000))
    await asyncio.sleep(0)
    await client.produce("flights", "a", partition=2)
    assert await waiting == {2: (0, 1)}


async def test_a_fetch_that_comes_again_ends_the_one_that_waits(client: Any, fetcher: Fetcher) -> None:
    await fetcher.ask({0: 0})
    waiting = asyncio.create_task(fetcher.fetch({}, max_wait_ms=30_000))
    await asyncio.sleep(0)
    fetcher.epoch += 1
    await fetcher.ask({})
    await client.produce("flights", "a")
    assert (await waiting).error_code == 71


async def test_a_new_start_is_told(client: Any, fetcher: Fetcher) -> None:
    await client.produce("flights", "a")
    await fetcher.ask({0: 1})
    await client.cluster.handle(DeleteRecordsRequest([DeleteRecordsTopic("flights", [DeleteRecordsPartition(0, 1)])]))
    answer = await fetcher.fetch({})
    assert [row.log_start_offset for row in answer.responses[0].partitions] == [1]


async def test_an_error_is_told_until_it_is_over(client: Any, fetcher: Fetcher) -> None:
    assert await fetcher.ask({0: 5}) == {0: (1, -1)}
    assert await fetcher.ask({}) == {0: (1, -1)}
    assert await fetcher.ask({0: 0}) == {0: (0, 0)}


async def test_every_partition_has_its_turn(client: Any, fetcher: Fetcher) -> None:
    for partition in (0, 1, 2):
        await client.produce("flights", "x" * 100, partition=partition)
    served: list[int] = []
    offsets = dict.fromkeys(range(3), 0)
    for _ in range(3):
        found = await fetcher.ask(offsets, max_bytes=1)
        served += [index for index, (_, next_offset) in found.items() if next_offset == 1]
        offsets = {}
    assert sorted(served) == [0, 1, 2]


async def test_a_topic_made_again_is_another(client: Any) -> None:
    fetcher = Fetcher(client, IDS)
    await fetcher.ask({0: 0})
    await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("flights")]))
    assert await fetcher.ask({}) == {0: (3, -1)}
    await client.create("flights", 3)
    assert await fetcher.ask({}) == {0: (103, -1)}


async def test_an_id_that_becomes_known(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher, topic_id = Fetcher(client, IDS), uuid4()
    assert await fetcher.ask({0: 0}, topic=str(topic_id)) == {0: (100, -1)}
    await client.create("planes")
    client.cluster.topics["planes"].id = topic_id
    client.cluster.log("planes", 0).topic_id = topic_id
    assert await fetcher.ask({}) == {0: (0, 0)}
    await client.produce("planes", "a")
    assert await fetcher.ask({}) == {0: (0, 1)}


def sessions(client: Any, slots: int) -> Callable[[int], bool]:
    """A function that begins a session of so many partitions, and says whether it got one."""
    found = FetchSessions(client.cluster, slots)

    def begin(partitions: int) -> bool:
        rows = [FetchPartition(index, 0) for index in range(partitions)]
        request = FetchRequest(session_epoch=0, topics=[FetchTopic("flights", None, rows)])
        return found.begin(request, uses_ids=False) is not None

    return begin


async def test_slots_are_given_to_who_needs_them_most(client: Any) -> None:
    begin = sessions(client, 2)
    assert begin(1)
    assert begin(1)
    assert not begin(3)  # the others are young
    client.clock.now += 120_001
    assert begin(1)  # in place of one that was not used for long
    assert SLOTS == 1_000


async def test_large_sessions_displace_small_ones_that_are_not_young(client: Any) -> None:
    found = FetchSessions(client.cluster, 2)
    rows = [FetchPartition(index, 0) for index in range(2)]

    def full(count: int) -> FetchRequest:
        return FetchRequest(session_epoch=0, topics=[FetchTopic("flights", None, rows[:count])])

    kept = [found.begin(full(2), uses_ids=False), found.begin(full(1), uses_ids=False)]
    client.clock.now += 120_000
    for session in kept:
        client.clock.now += 1
        assert session is not None
        found.begin(FetchRequest(session_id=session.id, session_epoch=1), uses_ids=False)
    assert found.begin(full(1), uses_ids=False) is None
    assert found.begin(full(2), uses_ids=False) is not None
    assert kept[0] is not None
    assert next(iter(found._sessions)) == kept[0].id


@pytest.mark.parametrize(("epoch", "code"), [(-1, 0), (2, 0), (1, 74), (3, 75)])
async def test_the_leaders_epoch(client: Any, epoch: int, code: int) -> None:
    client.cluster.log("flights", 0).leader_epoch = 2
    rows = [FetchPartition(0, 0, current_leader_epoch=epoch)]
    answer = await client.cluster.handle(FetchRequest(0, topics=[FetchTopic("flights", None, rows)]))
    assert answer.responses[0].partitions[0].error_code == code
    listed = [ListOffsetsTopic("flights", [ListOffsetsPartition(0, -1, epoch)])]
    offsets = await client.cluster.handle(ListOffsetsRequest(topics=listed))
    assert offsets.topics[0].partitions[0].error_code == code
    asked = [OffsetForLeaderTopic("flights", [OffsetForLeaderPartition(0, 0, epoch)])]
    ends = await client.cluster.handle(OffsetForLeaderEpochRequest(topics=asked))
    assert ends.topics[0].partitions[0].error_code == code


async def two_epochs(client: Any) -> None:
    """Epoch 0 up to offset 2, epoch 4 from there on."""
    source = client.cluster.log("flights", 0)
    await client.produce("flights", "a", "b")
    source.leader_epoch = 4
    source.epochs.assign(4, 2)
    await client.produce("flights", "c")


@pytest.mark.parametrize(
    ("epoch", "offset", "diverging"),
    [(4, 3, None), (0, 2, None), (0, 3, (0, 2)), (3, 2, (0, 2)), (4, 1, None), (4, 9, (4, 3))],
)
async def test_where_logs_part(client: Any, epoch: int, offset: int, diverging: tuple[int, int] | None) -> None:
    await two_epochs(client)
    rows = [FetchPartition(0, offset, last_fetched_epoch=epoch)]
    request = FetchRequest(30_000 if diverging else 0, topics=[FetchTopic("flights", None, rows)])  # it does not wait
    row = (await client.cluster.handle(request)).responses[0].partitions[0]
    assert row.error_code == 0
    assert row.diverging_epoch == (None if diverging is None else DivergingEpoch(*diverging))
    assert not (diverging and row.records)


async def test_an_epoch_nobody_knows(client: Any) -> None:
    rows = [FetchPartition(0, 0, last_fetched_epoch=9)]
    answer = await client.cluster.handle(FetchRequest(0, topics=[FetchTopic("flights", None, rows)]))
    assert answer.responses[0].partitions[0].error_code == 1


@pytest.mark.parametrize(("epoch", "end"), [(0, (0, 2)), (3, (0, 2)), (4, (4, 3)), (5, (-1, -1)), (-1, (-1, -1))])
async def test_where_epochs_ended(client: Any, epoch: int, end: tuple[int, int]) -> None:
    await two_epochs(client)
    asked = [OffsetForLeaderTopic("flights", [OffsetForLeaderPartition(0, epoch), OffsetForLeaderPartition(9, epoch)])]
    answer = await client.cluster.handle(OffsetForLeaderEpochRequest(topics=asked))
    row, missing = answer.topics[0].partitions
    assert (row.error_code, row.leader_epoch, row.end_offset) == (0, *end)
    assert (missing.error_code, missing.leader_epoch, missing.end_offset) == (3, -1, -1)


@pytest.mark.parametrize(("version", "code"), [(9, 76), (10, 0)])
async def test_zstd_is_refused_to_who_cannot_read_it(client: Any, version: int, code: int) -> None:
    await client.create("packed", compression_type="zstd")
    request = FetchRequest(0, topics=[FetchTopic("packed", None, [FetchPartition(0, 0)])])
    answer = await client.cluster.handle(request, RequestContext(api_version=version))
    assert answer.responses[0].partitions[0].error_code == code


async def test_what_is_undecided_is_no_reason_to_answer(client: Any) -> None:
    writer = await client.init()
    rows = [FetchTopic("flights", None, [FetchPartition(0, 0)])]
    waiting = asyncio.create_task(
        client.cluster.handle(FetchRequest(30_000, topics=rows, isolation_level=READ_COMMITTED))
    )
    await client.produce("flights", "a", writer=writer)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await client.end(writer)
    assert (await waiting).responses[0].partitions[0].next_offset == 2


async def test_the_epoch_of_an_offset(client: Any) -> None:
    await two_epochs(client)
    rows = [ListOffsetsPartition(0, timestamp) for timestamp in (-1,)]
    for timestamp, epoch in ((-1, 4), (-2, 0), (1, 0), (-5, -1), (-6, -1)):
        rows = [ListOffsetsPartition(0, timestamp)]
        answer = await client.cluster.handle(ListOffsetsRequest(topics=[ListOffsetsTopic("flights", rows)]))
        row = answer.topics[0].partitions[0]
        assert (row.error_code, row.leader_epoch) == (0, epoch)


@pytest.mark.parametrize(
    ("timestamp", "version", "code"),
    [
        (-3, 6, 35),
        (-3, 7, 0),
        (-4, 7, 35),
        (-4, 8, 0),
        (-5, 8, 35),
        (-5, 9, 0),
        (-6, 10, 35),
        (-6, 11, 0),
        (-7, 11, 35),
    ],
)
async def test_timestamps_that_a_version_knows(client: Any, timestamp: int, version: int, code: int) -> None:
    request = ListOffsetsRequest(topics=[ListOffsetsTopic("flights", [ListOffsetsPartition(0, timestamp)])])
    answer = await client.cluster.handle(request, RequestContext(api_version=version))
    assert answer.topics[0].partitions[0].error_code == code


async def test_a_partition_named_twice(client: Any) -> None:
    rows = [ListOffsetsPartition(0, -1), ListOffsetsPartition(1, -1), ListOffsetsPartition(0, -2)]
    answer = await client.cluster.handle(ListOffsetsRequest(topics=[ListOffsetsTopic("flights", rows)]))
    assert [row.error_code for row in answer.topics[0].partitions] == [42, 0, 42]


async def test_offsets_that_may_not_be_read_yet_are_not_found(client: Any) -> None:
    await client.produce("flights", "a", writer=await client.init())
    for isolation, offset in ((0, 0), (READ_COMMITTED, -1)):
        rows = [ListOffsetsTopic("flights", [ListOffsetsPartition(0, 1)])]
        answer = await client.cluster.handle(ListOffsetsRequest(isolation_level=isolation, topics=rows))
        assert answer.topics[0].partitions[0].offset == offset
