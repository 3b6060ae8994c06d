"""One step of a member on its way to the target: give up, take over, wait."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from broker_embedded.coordinator.groups.consumer.member import Member, MemberState
from broker_embedded.coordinator.groups.consumer.reconcile import Goal, reconcile
from broker_embedded.errors import FencedMemberEpochError

A, B = UUID(int=1), UUID(int=2)
STABLE, UNREVOKED, UNRELEASED, UNKNOWN = MemberState


def at(indexes: str, epoch: int = 5) -> dict[tuple[UUID, int], int]:
    return {(A, int(index)): epoch for index in indexes}


def member(state: MemberState, assigned: str, revoking: str = "", epoch: int = 5) -> Member:
    return Member("m", state=state, epoch=epoch, assigned=at(assigned), revoking=at(revoking))


def step(before: Member, target: str, owned: str, reported: str | None, **changes: object) -> Member:
    goal = Goal(
        6,
        frozenset(at(target)),
        {A},
        at(owned).keys(),
        None if reported is None else frozenset(at(reported)),
    )
    return reconcile(before, replace(goal, **changes))  # type: ignore[arg-type]


STEPS = [
    # state, has, to revoke | target, owned by somebody, reported | state, epoch, has, to revoke
    ((STABLE, "01", ""), ("01", "01", None), (STABLE, 6, "01", "")),
    ((STABLE, "01", ""), ("012", "01", None), (STABLE, 6, "012", "")),
    ((STABLE, "01", ""), ("0", "01", None), (UNREVOKED, 5, "0", "1")),
    ((STABLE, "01", ""), ("0", "01", "01"), (UNREVOKED, 5, "0", "1")),
    ((STABLE, "01", ""), ("0", "01", "0"), (STABLE, 6, "0", "")),  # given up before it was asked to
    ((STABLE, "01", ""), ("012", "012", None), (UNRELEASED, 6, "01", "")),
    ((STABLE, "01", ""), ("0123", "012", None), (UNRELEASED, 6, "013", "")),
    ((STABLE, "01", ""), ("023", "012", None), (UNREVOKED, 5, "0", "1")),
    ((UNREVOKED, "0", "1"), ("0", "01", None), (UNREVOKED, 5, "0", "1")),
    ((UNREVOKED, "0", "1"), ("0", "01", "01"), (UNREVOKED, 5, "0", "1")),
    ((UNREVOKED, "0", "1"), ("0", "01", "0"), (STABLE, 6, "0", "")),
    ((UNREVOKED, "0", "1"), ("0", "01", ""), (STABLE, 6, "0", "")),
    ((UNREVOKED, "0", "1"), ("01", "01", "0"), (STABLE, 6, "01", "")),  # what it has given up is its own again
    ((UNREVOKED, "01", "2"), ("0", "012", "01"), (UNREVOKED, 5, "0", "1")),
    ((UNREVOKED, "0", "1"), ("02", "012", "0"), (UNRELEASED, 6, "0", "")),
    ((UNRELEASED, "0", ""), ("01", "01", None), (UNRELEASED, 6, "0", "")),
    ((UNRELEASED, "0", ""), ("01", "0", None), (STABLE, 6, "01", "")),
    ((UNKNOWN, "0", ""), ("01", "0", ""), (STABLE, 6, "01", "")),
]


@pytest.mark.parametrize(("before", "goal", "after"), STEPS)
def test_steps(
    before: tuple[MemberState, str, str],
    goal: tuple[str, str, str | None],
    after: tuple[MemberState, int, str, str],
) -> None:
    found = step(member(*before), *goal)
    has = "".join(sorted(str(index) for _, index in found.assigned))
    revoking = "".join(sorted(str(index) for _, index in found.revoking))
    assert (found.state, found.epoch, has, revoking) == after
    assert found == member(*before) or found.previous_epoch == (6 if before[0] is UNKNOWN else 5)
    given_now = [epoch for (_, index), epoch in found.assigned.items() if str(index) not in before[1]]
    assert all(epoch == 6 for epoch in given_now)


def test_at_the_target_nothing_happens() -> None:
    there = member(STABLE, "0", epoch=6)
    assert step(there, "01", "0", None) is there


def test_what_is_no_longer_read_is_asked_for_before_there_is_a_target() -> None:
    there = member(STABLE, "0", epoch=6)
    found = step(there, "0", "0", None, subscribed={B}, has_new_subscription=True)
    assert (found.state, found.epoch, dict(found.assigned), found.revoking) == (UNREVOKED, 6, {}, at("0"))
    given_up = step(there, "0", "0", "", subscribed={B}, has_new_subscription=True)
    assert (given_up.state, dict(given_up.assigned)) == (STABLE, {})
    assert step(there, "0", "0", None, has_new_subscription=True) is there


def test_more_to_revoke_while_revoking() -> None:
    found = step(member(UNREVOKED, "0", "1"), "0", "01", None, subscribed={B}, has_new_subscription=True)
    assert (found.state, found.epoch, found.revoking) == (UNREVOKED, 5, at("01"))


def test_a_state_of_the_future() -> None:
    with pytest.raises(FencedMemberEpochError, match="must give up everything"):
        step(member(UNKNOWN, "0"), "0", "0", None)
