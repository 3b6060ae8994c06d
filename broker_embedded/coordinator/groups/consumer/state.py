"""What is known of a consumer group: all of it is in its records, and nothing else is.

A change is made to a copy, and what differs is written down before the copy takes the place of the original.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from broker_embedded.coordinator.groups.consumer.member import AWAY_EPOCH, Member, Partition, Partitions


class Resolved(NamedTuple):
    """The topics that a regular expression stood for when it was last looked at."""

    topics: frozenset[str]
    version: int
    at_ms: int


@dataclass(slots=True)
class State:
    """Epochs, and by member id: members and their targets; resolved regular expressions by their text."""

    epoch: int = 1  # as Kafka counts: the first change makes it 2
    metadata_hash: int = 0  # of the topics that are read, so that a change of them is seen
    assignment_epoch: int = 0
    assigned_ms: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    targets: dict[str, Partitions] = field(default_factory=dict)
    regexes: dict[str, Resolved] = field(default_factory=dict)
    has_partition_metadata: bool = False  # a record that Kafka 4.0 wrote, and later versions remove

    def copy(self) -> State:
        return replace(self, members=dict(self.members), targets=dict(self.targets), regexes=dict(self.regexes))

    @property
    def name(self) -> str:
        """As Kafka calls it.

        >>> State(epoch=1, members={"m": Member("m")}).name
        'Assigning'
        """
        if not self.members:
            return "Empty"
        if self.epoch > self.assignment_epoch:
            return "Assigning"
        is_stable = all(member.has_reached(self.assignment_epoch) for member in self.members.values())
        return "Stable" if is_stable else "Reconciling"

    def static_member(self, instance_id: str) -> Member | None:
        for member in self.members.values():
            if member.instance_id == instance_id:
                return member
        return None

    def owned(self) -> set[Partition]:
        """What some member has, or has not given up yet."""
        found: set[Partition] = set()
        for member in self.members.values():
            found.update(member.assigned, member.revoking)
        return found

    def topics_of(self, member: Member) -> frozenset[str]:
        """Names a member reads, by name or by its regular expression."""
        resolved = self.regexes.get(member.regex)
        return member.topics if resolved is None else member.topics | resolved.topics

    def replace_member(self, old_id: str, new_id: str) -> Member:
        """A static member comes back under another id: it gets what the old one had."""
        target = self.targets.pop(old_id, None)
        if target is not None:
            self.targets[new_id] = target
        member = replace(self.members.pop(old_id), member_id=new_id, epoch=0, previous_epoch=0)
        self.members[new_id] = member
        return member

    def remove_members(self, member_ids: Iterable[str]) -> None:
        """Without its last reader, a regular expression goes as well."""
        for member_id in member_ids:
            del self.members[member_id]
            self.targets.pop(member_id, None)
        self.forget_unused_regexes()

    def forget_unused_regexes(self) -> None:
        used = {member.regex for member in self.members.values()}
        for regex in self.regexes.keys() - used:
            del self.regexes[regex]


def gone_away(member: Member) -> Member:
    """A static member that has left for a while. It keeps its partitions, for whoever comes with its instance id."""
    return replace(member, epoch=AWAY_EPOCH, revoking={}, assigned=dict.fromkeys(member.assigned, 0))
