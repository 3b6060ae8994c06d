"""What a member does about every error and every lost answer: a broker that says them stands before the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.groups import (
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)
from streams.transport.contract import ConnectionLostError, FencedError, TransportError
from streams.transport.embedded.asks import InProcess
from streams.transport.group.protocol import Assignment, Subscription, decode_subscription

ANSWERS = {
    HeartbeatRequest: HeartbeatResponse,
    JoinGroupRequest: JoinGroupResponse,
    LeaveGroupRequest: LeaveGroupResponse,
    SyncGroupRequest: SyncGroupResponse,
}
LOAD_IN_PROGRESS, NOT_AVAILABLE, NOT_COORDINATOR = 14, 15, 16
ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, NOT_AUTHORIZED, FENCED = 22, 25, 27, 30, 82
NEVER_CAME, NOT_HEARD = "the request never came", "its answer was not heard"
PASSING = (LOAD_IN_PROGRESS, NOT_AVAILABLE, NOT_COORDINATOR, NEVER_CAME, NOT_HEARD)
KINDS = (JoinGroupRequest, SyncGroupRequest, HeartbeatRequest)

Trouble = int | str


class Troubled(InProcess):
    """Troubles meet the next requests of a kind, one each, in order; what was asked is kept."""

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster)
        self.troubles: dict[type[Request], list[Trouble]] = {kind: [] for kind in ANSWERS}
        self.asked: list[Any] = []

    async def ask_coordinator(self, request: Any, name: str, **more: Any) -> Any:
        self.asked.append(request)
        troubles = self.troubles[type(request)]
        trouble = troubles.pop(0) if troubles else None
        if isinstance(trouble, int):
            return ANSWERS[type(request)](error_code=trouble)
        if trouble == NEVER_CAME:
            raise ConnectionLostError(trouble)
        answer = await super().ask_coordinator(request, name, **more)
        if trouble == NOT_HEARD:
            raise ConnectionLostError(trouble)
        return answer

    def kinds(self) -> list[type[Request]]:
        return [type(request) for request in self.asked]


@pytest.fixture
def asks(world: Any) -> Troubled:
    world.asks = Troubled(world.cluster)
    return world.asks


@pytest.mark.parametrize("instance", [None, "seat"])
@pytest.mark.parametrize("trouble", PASSING)
@pytest.mark.parametrize("kind", KINDS)
def test_what_passes_by_itself_costs_no_membership(
    world: Any, make_player: Any, asks: Troubled, kind: type[Request], trouble: Trouble, instance: str | None
) -> None:
    async def work() -> None:
        one, two = make_player("a"), make_player("b")
        first = world.member(one, instance)
        await world.shared(one)
        world.member(two)
        await world.shared(one, two)
        before = first.identity
        asks.troubles[kind] += [trouble] * 3
        first.rejoin("trouble")
        await world.until(lambda: not asks.troubles[kind] and first.identity.generation > before.generation)
        await asyncio.sleep(30)
        assert {"lost"}.isdisjoint([*one.seen, *two.seen])
        assert first.identity.member_id == before.member_id
        await world.shared(one, two)

    world.run(work)


@pytest.mark.parametrize("instance", [None, "seat"])
@pytest.mark.parametrize("trouble", [*PASSING, REBALANCE_IN_PROGRESS])
@pytest.mark.parametrize("kind", KINDS)
def test_trouble_at_the_first_join(
    world: Any, make_player: Any, asks: Troubled, kind: type[Request], trouble: Trouble, instance: str | None
) -> None:
    async def work() -> None:
        one = make_player("a")
        asks.troubles[kind] += [trouble] * 2
        world.member(one, instance)
        await world.shared(one)
        await world.until(lambda: not asks.troubles[kind])
        await asyncio.sleep(30)
        await world.shared(one)
        assert "lost" not in one.seen

    world.run(work)


@pytest.mark.parametrize("kind", KINDS)
def test_another_round(world: Any, make_player: Any, asks: Troubled, kind: type[Request]) -> None:
    async def work() -> None:
        one = make_player("a")
        member = world.member(one)
        await world.shared(one)
        before = member.identity
        asks.troubles[kind].append(REBALANCE_IN_PROGRESS)
        if kind is not HeartbeatRequest:
            member.rejoin("trouble")
        await world.until(lambda: member.identity.generation > before.generation and len(one.seen) > 1)
        assert set(one.seen) == {"assigned 6"}
        assert member.identity.member_id == before.member_id

    world.run(work)


@pytest.mark.parametrize("instance", [None, "seat"])
@pytest.mark.parametrize("code", [ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID])
@pytest.mark.parametrize("kind", KINDS)
def test_given_up(
    world: Any, make_player: Any, asks: Troubled, kind: type[Request], code: int, instance: str | None
) -> None:
    async def work() -> None:
        one = make_player("a")
        member = world.member(one, instance)
        await world.shared(one)
        before, lost, at_loss = member.identity, one.lost, []

        def note() -> None:
            at_loss.append(member.identity)
            asks.asked.clear()
            lost()

        one.lost = note
        asks.troubles[kind].append(code)
        if kind is not HeartbeatRequest:
            member.rejoin("trouble")
        await world.until(lambda: "lost" in one.seen)
        await world.shared(one)
        assert one.seen == ["assigned 6", "lost", "assigned 6"]
        assert at_loss[0].member_id == before.member_id  # nobody commits with that any more
        again = next(request for request in asks.asked if isinstance(request, JoinGroupRequest))
        assert again.member_id == ("" if code == UNKNOWN_MEMBER_ID else before.member_id)
        assert decode_subscription(again.protocols[0].metadata).generation == -1  # nothing is its own any more

    world.run(work)


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (FENCED, FencedError, "seat 'seat': another process has taken this seat"),
        (NOT_AUTHORIZED, TransportError, "GROUP_AUTHORIZATION_FAILED"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_end(
    world: Any, make_player: Any, asks: Troubled, kind: type[Request], code: int, error: type[Exception], says: str
) -> None:
    async def work() -> None:
        asks.troubles[kind].append(code)
        member = world.member(make_player("a"), "seat")
        with pytest.raises(error, match=says):
            await world.tasks.pop(member)
        asks.asked.clear()
        await member.leave()
        assert asks.kinds() == ([] if code == FENCED else [LeaveGroupRequest])

    world.run(work)


@pytest.mark.parametrize("trouble", [FENCED, UNKNOWN_MEMBER_ID, *PASSING])
def test_leaving_never_fails_and_never_takes_long(
    world: Any, make_player: Any, asks: Troubled, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        one = make_player("a")
        member = world.member(one)
        await world.shared(one)
        await world.kill(member)
        asks.troubles[LeaveGroupRequest].append(trouble)
        began = world.loop.time()
        await member.leave()
        assert world.loop.time() - began <= 5
        assert ("does not hear that the member leaves" in caplog.text) == (trouble in PASSING)

    world.run(work)


# Where a member stands


def test_settled_when_the_next_generation_is_there(world: Any, make_player: Any) -> None:
    async def work() -> None:
        one, two = make_player("a"), make_player("b")
        member = world.member(one)
        await world.shared(one)
        past = member.identity.generation
        world.member(two)
        await asyncio.sleep(0)  # nobody has told the member yet
        await member.settled(past)
        assert member.identity.generation == past + 1
        await asyncio.wait_for(member.settled(past), 0.001)  # it is known

    world.run(work)


def test_settled_in_the_same_generation_when_all_is_well(world: Any, make_player: Any) -> None:
    async def work() -> None:
        one = make_player("a")
        member = world.member(one)
        await world.shared(one)
        began = world.loop.time()
        await member.settled(member.identity.generation)
        assert world.loop.time() - began < 0.5  # a heartbeat of its own

    world.run(work)


def test_settled_when_the_part_is_there(world: Any, make_player: Any, asks: Troubled) -> None:
    """A commit outside of transactions is refused between JoinGroup and SyncGroup."""

    async def work() -> None:
        one = make_player("a")
        member = world.member(one)
        await world.shared(one)
        asks.troubles[SyncGroupRequest] += [NOT_AVAILABLE] * 5
        member.rejoin("news")
        await world.until(lambda: len(asks.troubles[SyncGroupRequest]) == 3)
        past = member.identity.generation
        await member.settled(past)
        assert (member.identity.generation, one.seen) == (past, ["assigned 6"] * 2)

    world.run(work)


@pytest.mark.parametrize("code", [UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION])
def test_settled_when_it_is_lost(world: Any, make_player: Any, asks: Troubled, code: int) -> None:
    async def work() -> None:
        one = make_player("a")
        member = world.member(one)
        await world.shared(one)
        asks.troubles[HeartbeatRequest].append(code)
        await member.settled(member.identity.generation)
        assert one.seen == ["assigned 6", "lost"]

    world.run(work)


def test_settled_when_membership_ends(world: Any, make_player: Any) -> None:
    async def work() -> None:
        one = make_player("a")
        member = world.member(one)
        await world.shared(one)
        waiting = asyncio.create_task(member.settled(member.identity.generation))
        await asyncio.sleep(0)
        await world.kill(member)
        with pytest.raises(TransportError, match="membership has ended"):
            await waiting

    world.run(work)


# The one that assigns


def slow(player: Any, *pauses_s: float) -> Any:
    """A player who takes its time to assign: so long the first time, ..."""
    assign, left = player.assign, list(pauses_s)

    async def slowly(members: Mapping[str, Subscription]) -> Mapping[str, Assignment]:
        await asyncio.sleep(left.pop(0) if left else 0)
        return await assign(members)

    player.assign = slowly
    return player


def test_who_assigns_for_long_keeps_its_session(world: Any, make_player: Any) -> None:
    async def work() -> None:
        one = slow(make_player("a"), 35)  # the session is 10 s
        world.member(one)
        await world.shared(one)
        assert one.seen == ["assigned 6"]
        assert world.loop.time() >= 35

    world.run(work)


def test_who_assigns_stops_when_another_comes(world: Any, make_player: Any) -> None:
    async def work() -> None:
        one, two = slow(make_player("a"), 50), make_player("b")
        world.member(one)
        await asyncio.sleep(5)
        world.member(two)
        await world.shared(one, two)
        assert world.loop.time() < 20
        assert len(one.told[0]) == 2

    world.run(work)


def test_what_the_role_raises_comes_out(world: Any, make_player: Any) -> None:
    async def work() -> None:
        player = make_player("a")
        player.assigned = lambda assignment: 1 / 0
        with pytest.raises(ZeroDivisionError):
            await world.tasks.pop(world.member(player))

    world.run(work)
