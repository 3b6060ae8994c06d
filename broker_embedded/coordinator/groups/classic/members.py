"""The members of a classic group, those who are to become members, and who leads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Self

from broker_embedded.coordinator.groups.classic.member import Member
from broker_embedded.errors import FencedInstanceIdError, UnknownMemberIdError


class Members:
    """Members by id, in the order in which they came; the leader is one of them unless there are none.

    >>> members = Members()
    >>> members.add(Member("a-1", None, "a", "", 60_000, 45_000, (("range", b""),)))
    >>> members.leader_id, members.select_protocol(), members.supports(["sticky"])
    ('a-1', 'range', False)
    """

    def __init__(self) -> None:
        self.by_id: dict[str, Member] = {}
        self.static: dict[str, str] = {}
        """Instance id to member id."""
        self.pending: dict[str, int] = {}
        """Ids given out with MEMBER_ID_REQUIRED, and until when they may be used (KIP-394)."""
        self.leader_id: str | None = None

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self.by_id.values()))

    def __len__(self) -> int:
        return len(self.by_id)

    def __contains__(self, member_id: str) -> bool:
        return member_id in self.by_id

    def add(self, member: Member) -> None:
        """Let a member in; the first one leads."""
        self.by_id[member.member_id] = member
        self.pending.pop(member.member_id, None)
        if member.instance_id is not None:
            self.static[member.instance_id] = member.member_id
        if self.leader_id is None:
            self.leader_id = member.member_id

    def remove(self, member_id: str) -> None:
        """Let a member or a pending one go; another one leads if it was the leader."""
        gone = self.by_id.pop(member_id, None)
        if gone is not None and gone.instance_id is not None:
            del self.static[gone.instance_id]
        if member_id == self.leader_id:
            self.leader_id = next(iter(self.by_id), None)
        self.pending.pop(member_id, None)

    def with_replaced(self, old_id: str, member: Member) -> Self:
        """These members with a static one under its new id, in the same place; nothing here changes."""
        after = type(self)()
        after.leader_id = member.member_id if self.leader_id == old_id else self.leader_id
        for one in self:
            after.add(member if one.member_id == old_id else one)
        after.pending = self.pending
        return after

    def find(self, member_id: str, instance_id: str | None = None) -> Member:
        """A member. Raises UnknownMemberIdError, and FencedInstanceIdError if another one has its instance id."""
        if instance_id is not None:
            owner = self.static.get(instance_id)
            if owner is None:
                raise UnknownMemberIdError(f"no member has instance id {instance_id!r}")
            if owner != member_id:
                raise FencedInstanceIdError(
                    f"instance id {instance_id!r} belongs to member {owner!r} now, and not to {member_id!r}: "
                    "another client uses the same group.instance.id"
                )
        if member_id not in self.by_id:
            raise UnknownMemberIdError(f"the group has no member {member_id!r}: join again")
        return self.by_id[member_id]

    def is_leader(self, member_id: str) -> bool:
        return member_id == self.leader_id

    # Joining

    @property
    def joined_count(self) -> int:
        return sum(member.joining is not None for member in self.by_id.values())

    @property
    def have_all_joined(self) -> bool:
        return not self.pending and self.joined_count == len(self.by_id)

    def elect_joined_leader(self) -> bool:
        """Let somebody lead who has joined, preferably the leader; False if nobody has."""
        joined = [member.member_id for member in self if member.joining is not None]
        if self.leader_id not in joined:
            if not joined:
                return False
            self.leader_id = joined[0]
        return True

    # Protocols

    def supports(self, names: Collection[str]) -> bool:
        """Whether one of `names` is a protocol that all members know."""
        return not self._common().isdisjoint(names)

    def select_protocol(self) -> str:
        """Of the protocols that all know, the favourite of most."""
        candidates = self._common()
        return Counter(member.vote(candidates) for member in self).most_common(1)[0][0]

    def _common(self) -> set[str]:
        known = Counter(name for member in self for name in {name for name, _ in member.protocols})
        return {name for name, count in known.items() if count == len(self.by_id)}

    def rebalance_timeout_ms(self) -> int:
        """Of the slowest."""
        return max((member.rebalance_timeout_ms for member in self), default=0)
