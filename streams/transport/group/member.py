"""A member of a group, as Kafka's consumers are (ConsumerCoordinator, AbstractCoordinator), over any broker.

It joins, is given its part, and tells the coordinator that it lives, until the members are to share anew: then it joins
again while it goes on with what it has (KIP-429). What a part means, and who gets which, is the matter of its `Role`.
A member with an instance id is static (KIP-345): who comes back under it has the seat again at once, and what came with
it. JoinGroup waits for the other members, so membership goes by a lane of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from itertools import count
from typing import Any, Protocol, TypeVar

import msgspec

from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.groups import (
    HeartbeatRequest,
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
    LeaveGroupRequest,
    MemberIdentity,
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from streams.transport.contract import Asks, ConnectionLostError, FencedError, GroupIdentity, TransportError
from streams.transport.error_codes import RetryError, check
from streams.transport.group.protocol import (
    PROTOCOL_TYPE,
    Assignment,
    Subscription,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from streams.transport.group.refusals import FENCED, UNKNOWN_MEMBER_ID, ExpelledError, RebalancingError, check_member

log = logging.getLogger(__name__)

T = TypeVar("T")

_PAUSE_S = 0.1
_LATE_MS = 5_000  # how much later than the rebalance timeout an answer may come
_LEAVE_WITHIN_S = 5.0
_HEARTBEAT_LEAST_MS = 5_000  # a broker that has just started is slow
_REASON_MOST = 255  # characters, as Kafka's clients do (KIP-800)
_numbers = count()


class Role(Protocol):
    """What a member of a group is to do. It is called from the task that runs the member."""

    def subscription(self) -> Subscription:
        """What it tells the one that assigns; asked before each join."""

    async def assign(self, members: Mapping[str, Subscription]) -> Mapping[str, Assignment]:
        """Who gets what, by member id: asked of the member that leads. Cancelled when another round begins."""

    def assigned(self, assignment: Assignment) -> None:
        """What it is given, in each generation."""

    def lost(self) -> None:
        """The group has given it up, and what it had may be another's: drop what is not committed. It joins anew."""


class GroupMember:
    """One member. `identity` says at any moment as whom it may commit; nobody can with that of a member that is lost.

    `instance_id` makes it a static member. `rebalance_timeout_ms` is how long the others wait for it to join again.
    """

    def __init__(
        self,
        asks: Asks,
        group: str,
        role: Role,
        *,
        instance_id: str | None = None,
        session_timeout_ms: int = 45_000,
        heartbeat_interval_ms: int = 3_000,
        rebalance_timeout_ms: int = 300_000,
        protocol: str = "streams-engine",
    ) -> None:
        self.identity = GroupIdentity(group, instance_id=instance_id)
        self._asks = asks
        self._group = group
        self._role = role
        self._instance_id = instance_id
        self._session_timeout_ms = session_timeout_ms
        self._heartbeat_interval_s = heartbeat_interval_ms / 1000
        self._rebalance_timeout_ms = rebalance_timeout_ms
        self._protocol = protocol
        self._lane = f"group member {next(_numbers)}"
        self._where = f"group {group!r}" if instance_id is None else f"group {group!r}, seat {instance_id!r}"
        self._member_id = ""
        self._generation = -1
        self._may_be_in = False
        self._why = "it is new"
        self._wake = asyncio.Event()
        self._settling: list[asyncio.Future[None]] = []
        self._over: TransportError | None = None

    def rejoin(self, why: str) -> None:
        """Ask for another round, in which the subscription is asked for again. While a join is under way, one follows
        it, however often this is called.
        """
        self._why = self._why or why
        self._wake.set()

    async def run(self) -> None:
        """Be a member until cancelled; the seat is then kept for who comes back, or given up by `leave`.

        Raises FencedError when another process has taken the instance id, TransportError for a group that does not let
        it in, and what the role raises. What is not committed then is another's to do.
        """
        try:
            while True:
                await self._round()
        except TransportError as error:
            self._over = error
            self._may_be_in = self._may_be_in and not isinstance(error, FencedError)
            raise
        finally:
            self._over = self._over or TransportError(f"{self._where}: membership has ended")
            self._settle()

    async def settled(self, past: int) -> None:
        """Until the member knows where it stands, after its commit in generation `past` was refused as stale.

        It is in a newer generation then, or has been given its part in this one, or is lost. Raises TransportError
        when membership has ended.
        """
        if self._over is None and self._generation == past:
            waiter = asyncio.get_running_loop().create_future()
            self._settling.append(waiter)
            self._wake.set()  # where nothing is under way yet, a heartbeat tells
            await waiter
        if self._over is not None:
            raise self._over

    async def leave(self) -> None:
        """Give the seat up: the others share at once what this one had. Call it when `run` has ended.

        Where the coordinator does not hear of it within some seconds, the log says so, and the session ends it.
        """
        if not self._may_be_in:
            return
        self._may_be_in = False
        row = MemberIdentity(self._member_id, self._instance_id, "it leaves")
        try:
            async with asyncio.timeout(_LEAVE_WITHIN_S):
                await _send_away(self._asks, self._group, [row], ignored=(UNKNOWN_MEMBER_ID, FENCED))
        except (TimeoutError, TransportError) as error:
            log.warning(
                "%s: its coordinator does not hear that the member leaves (%r); the others wait for the end of its "
                "session, %.0f s",
                *(self._where, error, self._session_timeout_ms / 1000),
            )

    # One round

    async def _round(self) -> None:
        await asyncio.sleep(0)  # a broker in this process may answer all of it without a pause for others
        try:
            await self._join()
            await self._stay()
        except RebalancingError:
            self._why = self._why or "the group shares anew"
        except ExpelledError as error:
            self._expelled(error)

    def _expelled(self, error: ExpelledError) -> None:
        was_in, self._generation = self._generation >= 0, -1
        self._why = self._why or str(error)
        if was_in:
            log.warning("%s: the group has given up member %s (%s): it joins anew", self._where, self._member_id, error)
            self._role.lost()
        if error.is_unknown:
            self._member_id = ""
        self._settle()

    async def _join(self) -> None:
        answer = await self._joined()
        self._member_id, self._generation = answer.member_id, answer.generation_id
        self.identity = GroupIdentity(self._group, self._generation, self._member_id, self._instance_id)
        self._settle()
        leads = answer.leader == answer.member_id and not answer.skip_assignment
        log.info(
            "%s: member %s is in generation %d%s",
            *(self._where, self._member_id, self._generation, f", leads it (members: {len(answer.members)})" * leads),
        )
        rows = await self._beating(self._assign(answer)) if leads else []
        request = SyncGroupRequest(*self.identity, PROTOCOL_TYPE, answer.protocol_name or self._protocol, rows)
        given: SyncGroupResponse = await self._ask(request, self._rebalance_timeout_ms + _LATE_MS)
        self._role.assigned(decode_assignment(bytes(given.assignment)))
        self._settle()

    async def _joined(self) -> JoinGroupResponse:
        """The answer to JoinGroup, which begins a generation. A member that is new is told its id first (KIP-394)."""
        why, self._why = self._why, ""
        subscription = msgspec.structs.replace(self._role.subscription(), generation=self._generation)
        protocols = [JoinGroupRequestProtocol(self._protocol, encode_subscription(subscription))]
        self._may_be_in = True
        while True:
            request = JoinGroupRequest(
                *(self._group, self._session_timeout_ms, self._member_id, PROTOCOL_TYPE, protocols),
                *(self._rebalance_timeout_ms, self._instance_id, why[:_REASON_MOST]),
            )
            answer: JoinGroupResponse = await self._ask(request, self._rebalance_timeout_ms + _LATE_MS)
            if answer.error_code == 0:
                return answer
            self._member_id = answer.member_id

    async def _assign(self, answer: JoinGroupResponse) -> list[SyncGroupRequestAssignment]:
        members = {row.member_id: decode_subscription(bytes(row.metadata)) for row in answer.members}
        parts = await self._role.assign(members)
        return [SyncGroupRequestAssignment(member_id, encode_assignment(part)) for member_id, part in parts.items()]

    async def _stay(self) -> None:
        """Tell the coordinator that the member lives, until there is a reason to join again."""
        while not self._why:
            await self._pause()
            if not self._why:
                await self._beat()
                self._settle()

    async def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._heartbeat_interval_s
        try:
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        late_s = loop.time() - due
        if late_s * 1000 > self._session_timeout_ms:
            log.warning(
                "%s: for %.1f s nothing ran in the event loop of this process, longer than its session lasts (%.0f s): "
                "the group will have given it up. What takes long belongs in a thread; a process that is stopped "
                "(Ctrl-Z, a debugger) is given up as well.",
                *(self._where, late_s, self._session_timeout_ms / 1000),
            )

    async def _beat(self) -> None:
        await self._ask(HeartbeatRequest(*self.identity), max(self._session_timeout_ms // 3, _HEARTBEAT_LEAST_MS))

    async def _beating(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives; the member shows that it lives meanwhile. Ends it when another round begins."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([task], timeout=self._heartbeat_interval_s))[0]:
                await self._beat()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    def _settle(self) -> None:
        waiters, self._settling = self._settling, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # Asking

    async def _ask(self, request: Request, timeout_ms: int) -> Any:
        """The coordinator's answer, asked for until there is one: only the coordinator ends a membership."""

        async def ask() -> Any:
            answer = await self._asks.ask_coordinator(request, self._group, lane=self._lane, timeout_ms=timeout_ms)
            check_member(answer.error_code, self._where)
            return answer

        while True:
            try:
                return await self._asks.retry(ask)
            except (RetryError, ConnectionLostError) as error:
                log.warning("%s: no answer of its coordinator, which is asked again: %s", self._where, error)
            await asyncio.sleep(_PAUSE_S)


async def remove_members(asks: Asks, group: str, instance_ids: Iterable[str]) -> None:
    """Send away static members whose processes will not come back: the others share what they had at once, and need not
    wait for the end of their sessions (KIP-345). One that is not there is fine. Raises TransportError.
    """
    rows = [MemberIdentity("", instance_id, "it was removed") for instance_id in instance_ids]
    if rows:
        await _send_away(asks, group, rows, ignored=(UNKNOWN_MEMBER_ID,))


async def _send_away(asks: Asks, group: str, rows: list[MemberIdentity], ignored: tuple[int, ...]) -> None:
    async def ask() -> None:
        answer = await asks.ask_coordinator(LeaveGroupRequest(group, rows), group)
        for code in (answer.error_code, *(row.error_code for row in answer.members)):
            if code not in ignored:
                check(code, f"group {group!r}")

    await asks.retry(ask)
