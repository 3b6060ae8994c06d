"""Who follows the changelogs of a task that another place works on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from streams.runtime.assign.roster import MemberInfo


class Replicas:
    """`standby` and `warm` have the followed tasks of each member. No place follows what it works on, or twice."""

    def __init__(
        self,
        members: Mapping[str, MemberInfo],
        active: Mapping[str, str],
        lags: Mapping[tuple[str, str], float],
        standbys: int,
    ) -> None:
        self._members = members
        self._active = active
        self._lags = lags
        self._standbys = standbys
        self.standby: dict[str, list[str]] = {member: [] for member in members}
        self.warm: dict[str, list[str]] = {member: [] for member in members}

    def place(self, tasks: Iterable[str]) -> None:
        """Gives each task its standbys, as far as there are places: who follows it, then who has state of it, then who
        follows the fewest.
        """
        for task in tasks:
            taken = {self._members[self._active[task]].place}
            for _ in range(self._standbys):
                free = [member for member, info in self._members.items() if info.place not in taken]
                if not free:
                    break
                member = min(free, key=lambda member: self._rank(member, task))
                self.standby[member].append(task)
                taken.add(self._members[member].place)

    def warm_up(self, wanted: Mapping[str, str], most: int) -> None:
        """Has members that are to get a task follow it first, `most` of them at a time: those that are the nearest."""
        waiting = sorted(wanted.items(), key=lambda item: (self._lag(item[1], item[0]), item[0]))
        for task, member in waiting[:most]:
            follower = self._follower(self._members[member].place, task)
            if follower is not None:
                self.standby[follower].remove(task)
            self.warm[follower or member].append(task)

    def _follower(self, place: str, task: str) -> str | None:
        members = (member for member, info in self._members.items() if info.place == place)
        return next((member for member in members if task in self.standby[member]), None)

    def _rank(self, member: str, task: str) -> tuple[bool, bool, int, float, str]:
        lag = self._lag(member, task)
        follows = task in self._members[member].standby
        return not follows, lag == math.inf, len(self.standby[member]), lag, member

    def _lag(self, member: str, task: str) -> float:
        return self._lags.get((self._members[member].place, task), math.inf)
