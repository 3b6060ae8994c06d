"""Members of a group of ours on our broker over a socket and on Apache Kafka: sharing, seats, fencing, and what Kafka's
tools see of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from broker_embedded import records
from streams.transport.contract import (
    Committed,
    FencedError,
    StaleGenerationError,
    TopicSpec,
)
from streams.transport.group.member import GroupMember, remove_members
from streams.transport.kafka import KafkaTransport
from tests.interop.apache_kafka import Tools
from tests.interop.targets import Broker, running_broker
from tests.streams.transport.group.players import PARTITIONS, Player

pytestmark = pytest.mark.timeout(120)

NewName = Callable[[str], str]
TIMES = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 50, "rebalance_timeout_ms": 60_000}
"""No session may be shorter, unless the broker is told so."""
WITHIN_S = 60


class Party:
    """Members of one group, each with a connection of its own."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self.bootstrap = bootstrap
        self.group = group
        self.running: dict[GroupMember, asyncio.Task[None]] = {}
        self.transports: list[KafkaTransport] = []

    async def transport(self, **settings: Any) -> KafkaTransport:
        transport = KafkaTransport(self.bootstrap, **settings)
        await transport.start()
        self.transports.append(transport)
        return transport

    async def member(self, player: Player, instance_id: str | None = None, **more: Any) -> GroupMember:
        return self.member_of(await self.transport(), player, instance_id, **more)

    def member_of(
        self, transport: KafkaTransport, player: Player, instance_id: str | None = None, **more: Any
    ) -> GroupMember:
        member = player.member = GroupMember(
            transport.asks, self.group, player, instance_id=instance_id, **(TIMES | more)
        )
        self.running[member] = asyncio.create_task(member.run())
        return member

    async def kill(self, member: GroupMember) -> None:
        task = self.running.pop(member)
        task.cancel()
        await asyncio.wait([task])

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                for task in self.running.values():
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)

    async def shared(self, *players: Player) -> None:
        even = len(PARTITIONS) // len(players)
        await self.until(
            lambda: (
                all(len(player.owned) == even for player in players)
                and set().union(*(player.owned for player in players)) == set(PARTITIONS)
            )
        )

    async def close(self) -> None:
        for member in list(self.running):
            await self.kill(member)
            await member.leave()
        for transport in self.transports:
            await transport.stop()


@pytest.fixture
async def party(target: Broker, new_name: NewName) -> AsyncIterator[Party]:
    party = Party(target.bootstrap, new_name("members"))
    transport = await party.transport()
    await transport.create([TopicSpec("t", len(PARTITIONS))])
    yield party
    await party.close()


async def test_members_come_and_go(party: Party) -> None:
    players = [Player(name) for name in "abc"]
    members = []
    for count, player in enumerate(players, 1):
        members.append(await party.member(player, player.name if player.name == "b" else None))
        await party.shared(*players[:count])
    for told in (told for player in players for told in player.told):
        owners = [tp for subscription in told.values() for tp in subscription.owned]
        assert len(owners) == len(set(owners))
    assert all("lost" not in player.seen for player in players)
    for at in (0, 1):  # the leader, and a static one
        await party.kill(members[at])
        await members[at].leave()
        await party.shared(*players[at + 1 :])


async def test_a_seat_is_there_for_who_comes_back(party: Party) -> None:
    players = [Player(name) for name in "ab"]
    members = [await party.member(player, f"seat-{player.name}") for player in players]
    await party.shared(*players)
    generation = members[0].identity.generation
    for at in (0, 1):
        await party.kill(members[at])
        again = Player(players[at].name)
        members[at] = await party.member(again, f"seat-{again.name}")
        await party.until(lambda again=again: bool(again.seen))  # type: ignore[misc]
        assert (again.owned, again.told) == (players[at].owned, [])
        assert members[at].identity.generation == generation
        players[at] = again
    members[1].rejoin("its stores are empty")
    await party.until(lambda: members[1].identity.generation > generation)


async def test_who_lost_its_seat_is_told(party: Party) -> None:
    older, newer = Player("a"), Player("a")
    first = await party.member(older, "seat")
    await party.shared(older)
    task = party.running.pop(first)
    await party.member(newer, "seat")
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(FencedError, match="seat 'seat': another process has taken this seat"):
            await task
    await first.leave()
    await party.shared(newer)


async def test_a_seat_whose_owner_will_not_come_back_is_removed(party: Party) -> None:
    one, two = Player("a"), Player("b")
    await party.member(one, "a")
    gone = await party.member(two, "b", session_timeout_ms=60_000)
    await party.shared(one, two)
    await party.kill(gone)
    asks = party.transports[0].asks
    await remove_members(asks, party.group, ["b", "never there"])
    await party.shared(one)


@pytest.mark.slow
async def test_a_join_waits_longer_than_other_requests_and_holds_nothing_up(party: Party) -> None:
    """The newcomer waits until the session of one that is gone is over, and its transport goes on meanwhile."""
    one, two = Player("a"), Player("b")
    gone = await party.member(one)
    await party.shared(one)
    await party.kill(gone)
    transport = await party.transport(request_timeout_ms=1_000)
    newcomer = party.member_of(transport, two)
    producer = transport.producer(transactional_id=party.group)
    await producer.start()
    sent = 0
    while not two.seen:
        await producer.begin()
        await producer.send(PARTITIONS[0], records.encode([None], [b"x"], [0]))
        await producer.commit()
        sent += 1
    assert sent > 20
    assert newcomer.identity.generation == 2
    await party.shared(two)
    await producer.close()


async def test_close_while_the_others_are_waited_for(party: Party) -> None:
    one, two = Player("a"), Player("b")
    gone = await party.member(one, session_timeout_ms=60_000)
    await party.shared(one)
    await party.kill(gone)
    waiting = await party.member(two)
    await asyncio.sleep(0.5)
    async with asyncio.timeout(5):
        await party.kill(waiting)
        await waiting.leave()
        await gone.leave()
    three = Player("c")
    await party.member(three)
    async with asyncio.timeout(5):
        await party.shared(three)


async def test_commits_of_the_generation_before(party: Party) -> None:
    """They are refused, `settled` says when the new one is known, and the transaction goes on."""
    one, two = Player("a"), Player("b")
    transport = await party.transport()
    member = party.member_of(transport, one, "seat")
    await party.shared(one)
    before = member.identity
    producer = transport.producer(transactional_id=party.group)
    await producer.start()
    await producer.begin()
    await producer.send(PARTITIONS[0], records.encode([None], [b"x"], [0]))
    await party.member(two)
    await party.shared(one, two)
    offsets = {PARTITIONS[0]: Committed(7)}
    with pytest.raises(StaleGenerationError):
        await producer.send_offsets(before, offsets)
    await member.settled(before.generation)
    await producer.send_offsets(member.identity, offsets)
    await producer.commit()
    await member.settled(member.identity.generation)  # all is well
    assert await transport.committed(party.group, [PARTITIONS[0]]) == offsets


async def test_a_killed_coordinator_costs_no_membership(target_name: str, tmp_path: Path) -> None:
    with running_broker(target_name, tmp_path) as broker:
        party = Party(broker.bootstrap, "members")
        try:
            transport = await party.transport()
            await transport.create([TopicSpec("t", len(PARTITIONS))])
            players = [Player(name) for name in "ab"]
            patient = {"session_timeout_ms": 30_000}  # a broker that has just started is slow
            members = [await party.member(players[0], "seat", **patient), await party.member(players[1], **patient)]
            await party.shared(*players)
            ids = [member.identity.member_id for member in members]
            await asyncio.to_thread(broker.kill)
            members[0].rejoin("while nobody is there")
            await asyncio.to_thread(broker.start)
            generation = members[0].identity.generation
            await party.until(lambda: members[0].identity.generation > generation)
            await party.shared(*players)
            assert [member.identity.member_id for member in members] == ids
            assert all("lost" not in player.seen for player in players)
        finally:
            await party.close()


OLDEST = {10: 2, 11: 5, 12: 3, 13: 3, 14: 3, 8: 7, 28: 2}
"""Versions of Kafka 2.3 to 2.4 that know static members: FindCoordinator, JoinGroup, Heartbeat, LeaveGroup, SyncGroup,
OffsetCommit, TxnOffsetCommit.
"""


@pytest.mark.parametrize("instance", [None, "seat"])
async def test_brokers_of_long_ago(party: Party, instance: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = await party.transport()
    ask = transport.connection.ask

    async def asked(request: Any, *, last_version: int = 32_767, **more: Any) -> Any:
        version = min(last_version, OLDEST.get(request.api_key, 32_767))
        return await ask(request, last_version=version, **more)

    monkeypatch.setattr(transport.connection, "ask", asked)
    one, two = Player("a"), Player("b")
    first = party.member_of(transport, one, instance)
    second = party.member_of(transport, two)
    await party.shared(one, two)
    await party.kill(first)
    if instance is not None:
        again = Player("a")
        first = party.member_of(transport, again, instance)
        await party.until(lambda: bool(again.seen))
        assert again.owned == one.owned
        await party.kill(first)
        await remove_members(transport.asks, party.group, [instance])
    else:
        await first.leave()
    await party.shared(two)
    plain = transport.producer()
    await plain.start()
    with pytest.raises(FencedError):
        await plain.send_offsets(first.identity, {PARTITIONS[0]: Committed(1)})
    await second.settled(second.identity.generation)
    await plain.send_offsets(second.identity, {PARTITIONS[0]: Committed(1)})


@pytest.mark.slow
async def test_kafkas_tools_see_topics_and_partitions(party: Party, target: Broker, tools: Tools) -> None:
    players = [Player(name) for name in "ab"]
    members = [await party.member(player, f"seat-{player.name}") for player in players]
    await party.shared(*players)
    transport = party.transports[0]
    sender = transport.producer()
    await sender.start()
    await sender.send_offsets(members[0].identity, {tp: Committed(0) for tp in PARTITIONS})
    at = ("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", target.bootstrap)
    describe = (*at, "--describe", "--group", party.group)
    rows = [line.split() for line in (await asyncio.to_thread(tools.run, *describe)).out.splitlines() if "seat" in line]
    seen = {(row[1], int(row[2])): row[6] for row in rows}
    assert seen == {
        tuple(tp): member.identity.member_id
        for player, member in zip(players, members, strict=True)
        for tp in player.owned
    }
    verbose = (await asyncio.to_thread(tools.run, *describe, "--members", "--verbose")).out
    for player in players:
        numbers = ",".join(str(tp.partition) for tp in sorted(player.owned))
        assert f" t:{numbers} " in verbose
    state = (await asyncio.to_thread(tools.run, *describe, "--state")).out
    assert "streams-engine" in state
    assert "Stable" in state
