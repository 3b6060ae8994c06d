"""Who works on which task: sticky, balanced, and where the state is.

Three rules, in this order. A task with state goes where its state is nearly whole, while a better balanced worker warms
up (KIP-441). Of workers that are equal in this, those with fewer tasks get more, each sub-topology spread for itself;
what a worker has, it keeps as far as that allows. And nothing is given away that somebody still works on: who is to
lose a task gives it back first and joins again (KIP-429).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from streams.runtime.assign.balance import Balance
from streams.runtime.assign.replicas import Replicas
from streams.runtime.assign.roster import MemberAssignment, MemberInfo

NO_STATE = math.inf
"""How far a place is behind that has nothing of a task."""


class TaskInfo(NamedTuple):
    """A task as it is given out: a partition of a sub-topology, or a source."""

    id: str
    sub: str
    stateful: bool


class Rules(NamedTuple):
    """How many standbys a task with state has, and when a move of one waits: while its new place lacks more than
    `acceptable_lag` records; at most `warm_ups` are under way.
    """

    standbys: int = 0
    acceptable_lag: int = 10_000
    warm_ups: int = 2


def assign(tasks: Sequence[TaskInfo], members: Mapping[str, MemberInfo], rules: Rules) -> dict[str, MemberAssignment]:
    """What each member is to do, by the key it has in `members`. The same input gives the same answer.

    >>> task = [TaskInfo(f"count-{n}", "count", True) for n in range(2)]
    >>> old = MemberInfo(name="old", place="p", subs=("count",), active=("count-0", "count-1"))
    >>> new = MemberInfo(name="new", place="p", subs=("count",))
    >>> first = assign(task, {"a": old, "b": new}, Rules())
    >>> first["a"].active, first["b"].active  # the first is still at work on the other one
    (('count-1',), ())
    >>> old = MemberInfo(name="old", place="p", subs=("count",), active=("count-1",))
    >>> assign(task, {"a": old, "b": new}, Rules())["b"].active
    ('count-0',)
    """
    owners = {task: member for member, info in sorted(members.items()) for task in info.active}
    lags = _lags(members)
    target = _balanced(tasks, members, owners, lags)
    warm: dict[str, str] = {}
    for task in tasks:
        if task.stateful and task.id in target:
            ready = _ready(task, target[task.id], owners.get(task.id), members, lags, rules)
            if ready is not None:
                warm[task.id], target[task.id] = target[task.id], ready
    replicas = Replicas(members, target, lags, rules.standbys)
    replicas.place([task.id for task in tasks if task.stateful and task.id in target])
    replicas.warm_up(warm, rules.warm_ups)
    return _told(tasks, members, target, owners, replicas)


def _lags(members: Mapping[str, MemberInfo]) -> dict[tuple[str, str], float]:
    """By place and task, how many records the state there lacks; who works on a task has it whole."""
    lags: dict[tuple[str, str], float] = {}
    for info in members.values():
        for task, lag in info.lags.items():
            lags[info.place, task] = min(lag, lags.get((info.place, task), NO_STATE))
        lags.update(((info.place, task), 0) for task in info.active)
    return lags


def _balanced(
    tasks: Sequence[TaskInfo],
    members: Mapping[str, MemberInfo],
    owners: Mapping[str, str],
    lags: Mapping[tuple[str, str], float],
) -> dict[str, str]:
    """The member of each task that somebody can work on: who has it, else who has its state, else who has the least."""

    def lag(member: str, task: str) -> float:
        return lags.get((members[member].place, task), NO_STATE)

    balance = Balance({member: info.subs for member, info in members.items()}, lag)
    for task in tasks:
        if task.id in owners:
            balance.keep(task.id, task.sub, owners[task.id])
    for task in tasks:
        if task.id not in owners:
            balance.give(task.id, task.sub)
    balance.even_out()
    return balance.member_of


def _ready(
    task: TaskInfo,
    wanted: str,
    owner: str | None,
    members: Mapping[str, MemberInfo],
    lags: Mapping[tuple[str, str], float],
    rules: Rules,
) -> str | None:
    """Who works on the task while `wanted` is too far behind; None: it is not, or nobody is any better."""

    def lag(member: str) -> float:
        return lags.get((members[member].place, task.id), NO_STATE)

    if lag(wanted) <= rules.acceptable_lag:
        return None
    able = [member for member, info in members.items() if task.sub in info.subs]
    least = min(map(lag, able))
    if least == NO_STATE or lag(wanted) - least <= rules.acceptable_lag:
        return None
    best = [member for member in able if lag(member) <= max(least, rules.acceptable_lag)]
    return owner if owner in best else min(best, key=lambda member: (lag(member), len(members[member].active), member))


def _told(
    tasks: Iterable[TaskInfo],
    members: Mapping[str, MemberInfo],
    target: Mapping[str, str],
    owners: Mapping[str, str],
    replicas: Replicas,
) -> dict[str, MemberAssignment]:
    active: dict[str, list[str]] = {member: [] for member in members}
    for task in tasks:
        member = target.get(task.id)
        if member is not None and owners.get(task.id, member) == member:
            active[member].append(task.id)
    leading = min(members, key=lambda member: (not members[member].leads, member))
    where = {task: members[member].name for task, member in target.items()}
    return {
        member: MemberAssignment(
            active=tuple(active[member]),
            standby=tuple(replicas.standby[member]),
            warm_up=tuple(replicas.warm[member]),
            leads=member == leading,
            where=where,
        )
        for member in members
    }
