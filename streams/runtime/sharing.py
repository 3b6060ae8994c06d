"""Between two rounds of a worker's loop: what is to go elsewhere is committed, closed and given back, what is new
begins, and what is ready is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from streams.runtime.membership import LostMembershipError, Membership
from streams.runtime.standby import Standbys
from streams.runtime.steps import reach
from streams.runtime.tasks import Tasks


class Sharing:
    """Makes `work` and `standbys` what the group says that they are to be. `names` are all tasks and sources of the
    app. Without a membership nothing comes but what was begun otherwise.
    """

    def __init__(
        self, membership: Membership | None, work: Tasks, standbys: Standbys, names: Sequence[str], woken: asyncio.Event
    ) -> None:
        self._membership = membership
        self._work = work
        self._standbys = standbys
        self._names = names
        self._woken = woken

    @property
    def due(self) -> bool:
        """Whether something comes or goes now."""
        return self._work.due or (self._membership is not None and self._membership.due)

    async def share(self, commit: Callable[[], Awaitable[None]]) -> None:
        """Lets come and go what is due. Raises LostMembershipError, and what `commit` raises."""
        membership = self._membership
        if membership is not None:
            membership.check()
            if going := membership.to_give_back():
                reach("revoke: commit")
                await commit()
                await self._work.give_up(going)
                membership.check()
                reach("revoke: join again")
                membership.gave_back(going)
            self._follow(membership)
            self._work.arrivals.begin(membership.take())
        self._work.open_ready()

    def _follow(self, membership: Membership) -> None:
        told, here = membership.told, membership.owned | membership.wanted
        self._standbys.want(set(told.standby) - here, set(told.warm_up) - here, keep=here | membership.expected)

    async def gather(self) -> None:
        """Until everything is here, if it is this worker's alone. One of several begins with what it has."""
        assert self._membership is not None
        try:
            await self.share(_nothing)
            while self._work.coming and self._membership.owned.issuperset(self._names):
                await self._woken.wait()
                self._woken.clear()
                await self.share(_nothing)
        except LostMembershipError:
            self._membership.due = True  # the loop comes to it


async def _nothing() -> None:
    """The commit of who has not begun to work."""
