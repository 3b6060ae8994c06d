"""An even share of tasks for each member, with as few moves as that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping


class Balance:
    """Tasks by member. `knows` has the sub-topologies that each member can work on, `lag` tells how far the state of a
    task is from a member.

    >>> balance = Balance({"a": ("count",), "b": ("count",)}, lambda member, task: 0)
    >>> for task in ("count-0", "count-1"):
    ...     balance.keep(task, "count", "a")
    >>> balance.even_out()
    >>> balance.member_of
    {'count-0': 'b', 'count-1': 'a'}
    """

    def __init__(self, knows: Mapping[str, Collection[str]], lag: Callable[[str, str], float]) -> None:
        self._lag = lag
        self._knows = {member: frozenset(subs) for member, subs in sorted(knows.items())}
        self._tasks: dict[str, dict[str, str]] = {member: {} for member in self._knows}
        self._of_sub: dict[str, Counter[str]] = {member: Counter() for member in self._knows}
        self.member_of: dict[str, str] = {}

    def keep(self, task: str, sub: str, member: str) -> None:
        """Leave a task where it is, if it is known there."""
        if sub in self._knows[member]:
            self._put(task, sub, member)
        else:
            self.give(task, sub)

    def give(self, task: str, sub: str) -> None:
        """Give a task to the nearest to its state, of equals to who has the fewest; to nobody if nobody knows it."""
        able = self._able(sub)
        if able:
            self._put(task, sub, min(able, key=lambda member: (self._lag(member, task), self._load(member, sub))))

    def even_out(self) -> None:
        """Move tasks until no move, and no exchange of two, makes the shares more even."""
        while self._move_one() or self._exchange_two():
            pass

    def _move_one(self) -> bool:
        for most in sorted(self._tasks, key=lambda member: -len(self._tasks[member])):
            moves = [
                (len(self._tasks[least]), unevenness, self._lag(least, task), task, sub, least)
                for task, sub in self._tasks[most].items()
                for least in [min(self._able(sub), key=lambda member: self._load(member, sub))]
                for unevenness in [self._of_sub[least][sub] - self._of_sub[most][sub]]
                if len(self._tasks[least]) + 1 < len(self._tasks[most])
            ]
            if moves:
                *_, task, sub, least = min(moves)
                self._put(task, sub, least)
                return True
        return False

    def _exchange_two(self) -> bool:
        """Where shares are even and one sub-topology is not: two members exchange a task of it for one of another."""
        for most, least, sub in self._uneven():
            for task, other in self._tasks[least].items():
                evens = self._of_sub[least][other] > self._of_sub[most][other]
                if other != sub and evens and other in self._knows[most]:
                    given = min(name for name, of in self._tasks[most].items() if of == sub)
                    self._put(given, sub, least)
                    self._put(task, other, most)
                    return True
        return False

    def _uneven(self) -> Iterator[tuple[str, str, str]]:
        for sub in sorted({sub for counts in self._of_sub.values() for sub in counts}):
            able = self._able(sub)
            most = max(able, key=lambda member: self._of_sub[member][sub])
            for least in able:
                if self._of_sub[least][sub] + 1 < self._of_sub[most][sub]:
                    yield most, least, sub

    def _able(self, sub: str) -> list[str]:
        return [member for member, subs in self._knows.items() if sub in subs]

    def _load(self, member: str, sub: str) -> tuple[int, int, str]:
        return len(self._tasks[member]), self._of_sub[member][sub], member

    def _put(self, task: str, sub: str, member: str) -> None:
        before = self.member_of.get(task)
        if before is not None:
            del self._tasks[before][task]
            self._of_sub[before][sub] -= 1
        self.member_of[task] = member
        self._tasks[member][task] = sub
        self._of_sub[member][sub] += 1
