"""A worker's part in the group of its app: what it is to work on, what it works on, and what it has to give back.

The group's leader says what each is to work on (`streams/runtime/assign`). A worker goes on with all that it has while
the group shares anew (KIP-429). What is to go elsewhere it commits, closes and gives back, and joins again to say so;
only then it is given to somebody else. What is new to it begins between two rounds of joining, never during one: it has
not said yet that it has that, so the leader may give it to another.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping

import msgspec

from streams.config import Settings
from streams.errors import ConfigError
from streams.location import Owner
from streams.runtime.assign.assignor import Rules, assign
from streams.runtime.assign.roster import MemberAssignment, MemberInfo, decode, encode
from streams.runtime.inventory import Inventory
from streams.runtime.seat import Seat
from streams.transport.contract import Asks, FencedError, GroupIdentity, TopicPartition
from streams.transport.group.member import GroupMember
from streams.transport.group.protocol import Assignment, Subscription

log = logging.getLogger("streams.worker")


class LostMembershipError(FencedError):
    """The group has given this worker up, and others may be at work on what it had: nothing of that can be committed
    any more.
    """


class Membership:
    """Of the worker in `seat`. `wake` is called when there is something to do; `lags` says how far the state is that
    lies at its place, and `followed` which tasks it follows (`MemberInfo`).
    """

    def __init__(
        self,
        settings: Settings,
        inventory: Inventory,
        asks: Asks,
        seat: Seat,
    ) -> None:
        if settings.heartbeat_interval_ms >= settings.session_timeout_ms:
            raise ConfigError(
                f"heartbeat_interval_ms={settings.heartbeat_interval_ms} is not less than "
                f"session_timeout_ms={settings.session_timeout_ms}: the group would give this worker up between two "
                "heartbeats. A third of it or less is usual."
            )
        self._inventory = inventory
        self._name, self._place = seat.instance_id, seat.place
        self.stays = not _leaves(settings, seat)
        """Whether its seat is kept for it when it stops."""
        self._rules = Rules(
            settings.num_standby_replicas, settings.acceptable_recovery_lag, settings.max_warmup_replicas
        )
        self.owned: set[str] = set()
        """What this worker has, or is about to have, as it tells the group."""
        self.told = MemberAssignment()
        """What it was told to do last."""
        self.due = False
        """Whether there is something to begin or to end."""
        self.wake: Callable[[], None] = lambda: None
        self.lags: Callable[[], dict[str, int]] = dict
        self.followed: Callable[[], tuple[str, ...]] = tuple
        self.missed: Callable[[set[str]], None] = lambda names: None
        """Told the names of members that are gone, by the one that leads."""
        self._is_joining = True
        self._is_lost = False
        self._start = uuid.uuid4().hex[:8]
        self._round = self._told_round = 0
        self._joined = asyncio.Event()
        self._member = GroupMember(
            asks,
            settings.id,
            self,
            instance_id=seat.instance_id,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
        )
        self._running: asyncio.Task[None] | None = None

    # -- life

    async def join(self) -> asyncio.Task[None]:
        """Becomes a member, and comes back when the first part is given. Gives what keeps the membership up: it ends by
        an error only.
        """
        self._running = asyncio.create_task(self._member.run(), name="group member")
        first = asyncio.ensure_future(self._joined.wait())
        try:
            await asyncio.wait({first, self._running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            first.cancel()
        if self._running.done():
            self._running.result()
        return self._running

    async def end(self, *, leave: bool) -> None:
        """Is no member any more: gives the seat up, or leaves it to who comes back soon."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            if leave:
                await self._member.leave()

    # -- for the worker

    @property
    def wanted(self) -> set[str]:
        """What it is to work on, as far as it knows that."""
        return self.owned if self._is_lost else self._inventory.partitions.keys() & set(self.told.active)

    @property
    def expected(self) -> set[str]:
        """What is to come here, once who has it gives it back."""
        return {task for task, name in self.told.where.items() if name == self._name}

    @property
    def is_settled(self) -> bool:
        """Whether it has all that it is to have and no round is going on or asked for, as far as it knows: a task that
        goes from one worker to another is for a while with neither.
        """
        is_waiting = self._is_joining or self._is_lost or self.due or self.told.moving
        return not is_waiting and self._told_round == self._round

    @property
    def elsewhere(self) -> dict[str, list[TopicPartition]]:
        """What those tasks read that it does not have."""
        away = self._inventory.partitions.keys() - self.owned - self._inventory.sources
        return {task: self._inventory.partitions[task] for task in sorted(away)}

    def is_leader(self) -> bool:
        """Whether it is the one of the app's workers that does what only one is to do."""
        return self.told.leads and not self._is_lost

    def owner(self, task: str) -> Owner | None:
        """Who works on a task, or is about to; None while that is open."""
        if task in self.owned:
            return Owner(self._name, socket.gethostname(), True)
        name = self.told.where.get(task)
        return None if name is None or name == self._name else Owner(name, self.told.hosts.get(name, ""), False)

    def identity(self) -> GroupIdentity:
        """As whom it commits. Raises LostMembershipError."""
        self.check()
        return self._member.identity

    async def settled(self, past: int) -> None:
        """Until the member knows where it stands after generation `past`."""
        await self._member.settled(past)

    async def confirm(self) -> None:
        """Asks the group at once where this worker stands. Raises FencedError if another process has its seat."""
        await self._member.settled(self._member.identity.generation)

    def check(self) -> None:
        """Raises LostMembershipError if what the worker has may be another's."""
        if self._is_lost:
            raise LostMembershipError(
                f"group {self._member.identity.group!r} has given up this worker ({self._name}): what it had not "
                "committed is dropped, and is done by who has its tasks now"
            )

    def dropped(self) -> None:
        """All that was not committed is dropped, and all that was lost is closed: it begins with what it is given."""
        self._is_lost = False
        self.due = True

    def to_give_back(self) -> set[str]:
        """What it has and is to have no more."""
        return self.owned - self.wanted

    def gave_back(self, tasks: Iterable[str]) -> None:
        """These are committed and closed."""
        self.owned.difference_update(tasks)
        self.rejoin(f"it has given back {', '.join(sorted(tasks))}")

    def take(self) -> set[str]:
        """What it is to have and has not begun yet. From here on it is its own."""
        self.due = False
        new = set() if self._is_joining else self.wanted - self.owned
        self.owned |= new
        return new

    def rejoin(self, why: str) -> None:
        """Asks for another round."""
        self._round += 1
        self._member.rejoin(why)

    # -- for the group

    def subscription(self) -> Subscription:
        self._is_joining = True
        self._told_round = self._round
        told = MemberInfo(
            name=self._name,
            place=self._place,
            host=socket.gethostname(),
            subs=self._inventory.subs,
            active=tuple(sorted(self.owned)),
            standby=self.followed(),
            lags=self.lags(),
            leads=self.is_leader(),
            topology=self._inventory.topology,
            start=self._start,
            round=self._round,
        )
        owned = self._inventory.partitions_of(told.active)
        return Subscription(topics=self._inventory.topics, owned=owned, userdata=encode(told))

    async def assign(self, members: Mapping[str, Subscription]) -> Mapping[str, Assignment]:
        infos = _without_doubles(members)
        hosts = {info.name: info.host for info in infos.values()}
        if gone := self.told.hosts.keys() - hosts.keys():
            self.missed(gone)
        given = assign(self._inventory.tasks, infos, self._rules)
        moving = any(sum(len(part.active) for part in given.values()) < len(one.where) for one in given.values())
        common = {"hosts": hosts, "moving": moving, "topology": self._inventory.topology}
        return {
            member: Assignment(
                self._inventory.partitions_of(part.active),
                encode(msgspec.structs.replace(part, seen=infos[member].start, **common)),
            )
            for member, part in given.items()
        }

    def assigned(self, assignment: Assignment) -> None:
        self._is_joining = False
        before = self.told
        self.told = decode(assignment.userdata, MemberAssignment) if assignment.userdata else MemberAssignment()
        self.due = True
        log.debug("this worker is to work on %s", ", ".join(self.told.active) or "nothing")
        if set(before.active) != set(self.told.active) or not self._joined.is_set():
            log.info("works on %d of %d tasks", len(self.told.active), len(self._inventory.tasks))
        # Who has come back to a seat is told what was said to the process before. That one may have been about to give
        # something back, and its app may have been another version.
        is_old = self.told.seen != self._start and not self._joined.is_set()
        if is_old and (self.told.moving or self.told.topology != self._inventory.topology):
            self.rejoin("it has come back, and the group does not know what it has now")
        self._joined.set()
        self.wake()

    def lost(self) -> None:
        self._is_lost = True
        self.owned = set()
        self.told = MemberAssignment()
        self.due = True
        self.wake()


def _leaves(settings: Settings, seat: Seat) -> bool:
    return not seat.stable if settings.leave_on_stop is None else settings.leave_on_stop


def _without_doubles(members: Mapping[str, Subscription]) -> dict[str, MemberInfo]:
    """What each member tells. Of two that say that they have a task, who was told so later has it (KIP-792)."""
    infos = {member: decode(told.userdata, MemberInfo) for member, told in members.items()}
    latest: dict[str, str] = {}
    for member, info in infos.items():
        for task in info.active:
            other = latest.get(task)
            if other is None or members[member].generation > members[other].generation:
                latest[task] = member
    return {
        member: msgspec.structs.replace(info, active=tuple(task for task in info.active if latest[task] == member))
        for member, info in infos.items()
    }
