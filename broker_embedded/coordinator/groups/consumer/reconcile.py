"""The next step of a member on its way to its target (Kafka: CurrentAssignmentBuilder).

First it gives up what is no longer its own, and says so by no longer reporting it; then it gets what is free; then it
waits for what others have yet to give up. It has the target's epoch once it has nothing left to give up.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from uuid import UUID

from broker_embedded.coordinator.groups.consumer.member import Member, MemberState, Partition, Partitions
from broker_embedded.errors import FencedMemberEpochError


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a member is to get, and what stands in its way."""

    epoch: int
    target: Partitions
    subscribed: Set[UUID]  # ids of topics: what the member no longer reads is not to be its own, target or not
    owned: Set[Partition]  # by any member
    reported: Partitions | None = None  # what the member says it has; None where it said nothing
    has_new_subscription: bool = False

    def still_has(self, revoked: Set[Partition]) -> bool:
        """Whether the member may still read some of `revoked`: it has not said otherwise."""
        return self.reported is None or not self.reported.isdisjoint(revoked)


def reconcile(member: Member, goal: Goal) -> Member:
    """The member after its next step; the same object where none is possible.

    Raises FencedMemberEpochError for a member in a state that only a newer broker knows.

    >>> topic = UUID(int=1)
    >>> goal = Goal(2, frozenset({(topic, 1)}), {topic}, {(topic, 0)}, reported=frozenset({(topic, 0)}))
    >>> before = Member("m", epoch=1, assigned={(topic, 0): 1})
    >>> asked = reconcile(before, goal)
    >>> asked.state.name, asked.epoch, list(asked.revoking.values())
    ('UNREVOKED_PARTITIONS', 1, [1])
    >>> after = reconcile(asked, replace(goal, reported=frozenset()))
    >>> after.state.name, after.epoch, list(after.assigned.values())
    ('STABLE', 2, [2])
    """
    if member.state is MemberState.UNKNOWN:
        if goal.reported is None or goal.reported:
            raise FencedMemberEpochError(
                f"member {member.member_id!r} is in a state this broker does not know: it must give up everything "
                "and join again"
            )
        return _step(replace(member, epoch=goal.epoch), goal)
    if member.has_reached(goal.epoch):
        return _drop_unsubscribed(member, goal) if goal.has_new_subscription else member
    if member.state is MemberState.UNREVOKED_PARTITIONS and goal.still_has(member.revoking.keys()):
        return _drop_unsubscribed(member, goal) if goal.has_new_subscription else member
    return _step(member, goal)


def _drop_unsubscribed(member: Member, goal: Goal) -> Member:
    """Ask for what the member no longer reads, without waiting for a new target."""
    kept = {key: epoch for key, epoch in member.assigned.items() if key[0] in goal.subscribed}
    if len(kept) == len(member.assigned):
        return member
    dropped = {key: epoch for key, epoch in member.assigned.items() if key not in kept}
    revoking = {**member.revoking, **dropped}
    if not goal.still_has(revoking.keys()):
        return replace(member, previous_epoch=member.epoch, assigned=kept)
    return _to_give_up(member, kept, revoking)


def _to_give_up(member: Member, kept: Mapping[Partition, int], revoking: Mapping[Partition, int]) -> Member:
    return replace(
        member,
        state=MemberState.UNREVOKED_PARTITIONS,
        previous_epoch=member.epoch,
        assigned=kept,
        revoking=revoking,
    )


def _step(member: Member, goal: Goal) -> Member:
    target = {key for key in goal.target if key[0] in goal.subscribed}
    kept = {key: epoch for key, epoch in member.assigned.items() if key in target}
    revoked = {key: epoch for key, epoch in member.assigned.items() if key not in target}
    if revoked and goal.still_has(revoked.keys()):
        return _to_give_up(member, kept, revoked)
    missing = target - kept.keys()
    # what it has just given up is free for itself too, as only one member at a time has a partition
    taken = {key for key in missing if key in goal.owned and key not in member.revoking}
    return replace(
        member,
        state=MemberState.UNRELEASED_PARTITIONS if taken else MemberState.STABLE,
        epoch=goal.epoch,
        previous_epoch=member.epoch,
        assigned={**kept, **dict.fromkeys(missing - taken, goal.epoch)},
        revoking={},
    )
