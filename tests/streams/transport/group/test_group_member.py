"""Members of a group share it, come and go, come back: against the broker in this process, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker_embedded.wire.messages.groups import DescribeGroupsRequest
from streams.transport.contract import FencedError, GroupIdentity, TransportError
from streams.transport.group.member import remove_members


def test_one_alone_gets_all(world: Any, make_player: Any) -> None:
    async def work() -> None:
        one = make_player("a")
        member = world.member(one)
        assert member.identity == GroupIdentity("g")
        await world.shared(one)
        assert member.identity == GroupIdentity("g", 1, member.identity.member_id)
        assert member.identity.member_id.startswith("streams-")

    world.run(work)


def test_partitions_move_when_their_owner_has_given_them_up(world: Any, make_player: Any) -> None:
    async def work() -> None:
        players = [make_player(name) for name in "abc"]
        for count, player in enumerate(players, 1):
            world.member(player)
            await world.shared(*players[:count])
        for told in (told for player in players for told in player.told):
            owners = [tp for subscription in told.values() for tp in subscription.owned]
            assert len(owners) == len(set(owners))
        assert "lost" not in players[0].seen
        assert {len(player.owned) for player in players} == {2}

    world.run(work)


def test_what_a_member_owns_is_said_with_the_generation_in_which_it_got_it(world: Any, make_player: Any) -> None:
    async def work() -> None:
        one, two = make_player("a"), make_player("b")
        world.member(one)
        await world.shared(one)
        world.member(two)
        await world.shared(one, two)
        (first, *_), *_, last = one.told[0].values(), *one.told[-1].values()
        assert first.generation == -1
        assert last.generation >= 2

    world.run(work)


@pytest.mark.parametrize("instance", [None, "seat"])
def test_who_leaves_is_replaced_at_once(world: Any, make_player: Any, instance: str | None) -> None:
    async def work() -> None:
        one, two = make_player("a"), make_player("b")
        world.member(one)
        leaver = world.member(two, instance)
        await world.shared(one, two)
        await world.kill(leaver)
        await leaver.leave()
        began = world.loop.time()
        await world.shared(one)
        assert world.loop.time() - began < 2  # a heartbeat

    world.run(work)


@pytest.mark.parametrize("instance", [None, "seat"])
def test_who_is_silent_is_given_up_when_its_session_ends(world: Any, make_player: Any, instance: str | None) -> None:
    async def work() -> None:
        one, two = make_player("a"), make_player("b")
        world.member(one)
        silent = world.member(two, instance)
        await world.shared(one, two)
        await world.kill(silent)
        began = world.loop.time()
        await world.shared(one)
        assert 8 < world.loop.time() - began < 13

    world.run(work)


def test_a_static_member_has_its_seat_again_at_once(world: Any, make_player: Any) -> None:
    async def work() -> None:
        players = [make_player(name) for name in "ab"]
        members = [world.member(player, f"seat-{player.name}") for player in players]
        await world.shared(*players)
        generation = members[0].identity.generation
        for at in (0, 1):  # the leader, and the other
            await world.kill(members[at])
            again = make_player(players[at].name)
            members[at] = world.member(again, f"seat-{again.name}")
            began = world.loop.time()
            await world.until(lambda again=again: bool(again.seen))
            assert world.loop.time() - began < 0.5
            assert again.owned == players[at].owned
            assert again.told == []  # who leads again does not assign again (KIP-814)
            assert members[at].identity.generation == generation
            players[at] = again
        assert all("lost" not in player.seen for player in players)

    world.run(work)


@pytest.mark.parametrize("name", ["a", "b"])
def test_after_a_restart_another_round_can_be_asked_for(world: Any, make_player: Any, name: str) -> None:
    async def work() -> None:
        players = {name: make_player(name) for name in "ab"}
        members = {name: world.member(player, name) for name, player in players.items()}
        await world.shared(*players.values())
        await world.kill(members[name])
        again = make_player(name)
        member = world.member(again, name)
        await world.until(lambda: bool(again.seen))
        generation = member.identity.generation
        member.rejoin("its stores are empty")
        await world.until(lambda: member.identity.generation > generation)

    world.run(work)


def test_who_lost_its_seat_says_so_and_ends(world: Any, make_player: Any) -> None:
    async def work() -> None:
        older, newer = make_player("a"), make_player("a")
        first = world.member(older, "seat-1")
        await world.shared(older)
        task = world.tasks.pop(first)
        world.member(newer, "seat-1")
        with pytest.raises(FencedError, match="group 'g', seat 'seat-1': another process has taken this seat"):
            await task
        with pytest.raises(FencedError):
            await first.settled(first.identity.generation)
        await world.shared(newer)
        await first.leave()  # not the newer one's seat
        await asyncio.sleep(30)
        assert newer.seen == ["assigned 6"]

    world.run(work)


def test_seats_that_nobody_comes_back_to_are_removed(world: Any, make_player: Any) -> None:
    async def work() -> None:
        players = [make_player(name) for name in "abc"]
        members = [world.member(player, player.name) for player in players]
        await world.shared(*players)
        for member in members[1:]:
            await world.kill(member)
        await remove_members(world.asks, "g", ["b", "c", "never there"])
        began = world.loop.time()
        await world.shared(players[0])
        assert world.loop.time() - began < 2
        await remove_members(world.asks, "g", [])
        await remove_members(world.asks, "no such group", ["b"])

    world.run(work)


def test_who_was_given_up_drops_what_it_had_and_joins_anew(
    world: Any, make_player: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        one = make_player("a")
        member = world.member(one, "seat")
        await world.shared(one)
        before = member.identity
        await remove_members(world.asks, "g", ["seat"])
        await world.until(lambda: "lost" in one.seen)
        await world.shared(one)
        assert one.seen == ["assigned 6", "lost", "assigned 6"]
        assert member.identity.member_id != before.member_id
        assert member.identity.generation > before.generation
        assert f"the group has given up member {before.member_id}" in caplog.text

    world.run(work)


def test_rounds_that_are_asked_for_during_one_are_one(world: Any, make_player: Any) -> None:
    async def work() -> None:
        players = [make_player(name) for name in "ab"]
        first, second = (world.member(player) for player in players)
        await world.shared(*players)
        generation = first.identity.generation
        for _ in range(3):
            first.rejoin("news")
        await world.until(lambda: second.identity.generation > generation)
        await asyncio.sleep(30)
        assert second.identity.generation == generation + 1
        assert len([seen for seen in players[0].seen if seen.startswith("assigned")]) >= 2

    world.run(work)


def test_close_while_the_others_are_waited_for(world: Any, make_player: Any) -> None:
    async def work() -> None:
        one, two = make_player("a"), make_player("b")
        slow = world.member(one)
        await world.shared(one)
        await world.kill(slow)  # it will not join again, so the newcomer waits
        waiting = world.member(two)
        await asyncio.sleep(3)
        assert two.seen == []
        await world.kill(waiting)
        await waiting.leave()
        await slow.leave()
        row = (await world.asks.ask(DescribeGroupsRequest(["g"]))).groups[0]
        assert (row.group_state, row.members) == ("Empty", [])
        await waiting.leave()

    world.run(work)


def test_a_blocked_loop_is_named(world: Any, make_player: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        one = make_player("a")
        world.member(one)
        await world.shared(one)
        await asyncio.sleep(0.55)
        world.clock.now_ms += 60_000  # time goes on, and nothing runs
        world.cluster.tick()
        await world.until(lambda: "lost" in one.seen)
        await world.shared(one)
        assert "nothing ran in the event loop of this process, longer than its session lasts (10 s)" in caplog.text

    world.run(work)


def test_a_group_of_others_is_refused_with_what_to_do(world: Any, make_player: Any) -> None:
    async def work() -> None:
        world.member(make_player("a"), protocol="range")
        await asyncio.sleep(1)
        other = world.member(make_player("b"))
        with pytest.raises(TransportError, match=r"group 'g': clients of another kind are in it.*INCONSISTENT_GROUP"):
            await world.tasks.pop(other)
        with pytest.raises(TransportError, match="clients of another kind"):
            await other.settled(-1)
        short = world.member(make_player("c"), session_timeout_ms=1)
        with pytest.raises(TransportError, match=r"group.min.session.timeout.ms"):
            await world.tasks.pop(short)

    world.run(work)
