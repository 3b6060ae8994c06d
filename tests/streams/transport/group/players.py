"""Who plays a member of a group in tests."""

from __future__ import annotations

from collections.abc import Mapping

from streams.transport.contract import TopicPartition
from streams.transport.group.member import GroupMember
from streams.transport.group.protocol import Assignment, Subscription

PARTITIONS = [TopicPartition("t", number) for number in range(6)]


class Player:
    """A role that goes by KIP-429: what moves is given up by one before another gets it. Tells what it has seen."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.owned: set[TopicPartition] = set()
        self.seen: list[str] = []
        self.told: list[Mapping[str, Subscription]] = []
        self.member: GroupMember

    def subscription(self) -> Subscription:
        return Subscription(["t"], sorted(self.owned), self.name.encode())

    async def assign(self, members: Mapping[str, Subscription]) -> Mapping[str, Assignment]:
        self.told.append(members)
        ordered = sorted(members, key=lambda member_id: members[member_id].userdata)
        owner = {tp: member_id for member_id in ordered for tp in members[member_id].owned}
        parts: dict[str, list[TopicPartition]] = {member_id: [] for member_id in ordered}
        for at, tp in enumerate(PARTITIONS):
            wanted = ordered[at % len(ordered)]
            if owner.get(tp, wanted) == wanted:
                parts[wanted].append(tp)
        return {member_id: Assignment(tps, b"round") for member_id, tps in parts.items()}

    def assigned(self, assignment: Assignment) -> None:
        given = set(assignment.partitions)
        gave_up = self.owned - given
        self.owned = given
        self.seen.append(f"assigned {len(given)}")
        if gave_up:
            self.member.rejoin("gave up what moves")

    def lost(self) -> None:
        self.owned = set()
        self.seen.append("lost")
