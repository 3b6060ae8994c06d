"""Whether a worker that is at the end of its input ends. One of several does not know by itself: what another commits
may yet come to it through a repartition topic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from streams.transport.contract import TopicPartition, Transport


class EndOfInput(Protocol):
    """Asked by a worker that runs `until_end`."""

    def begin(self, wake: Callable[[], object]) -> None:
        """The worker runs; `wake`, called in any thread, lets it look again."""

    def reached(self, moved: int) -> bool:
        """At the end, with everything committed and nothing on its way here; true lets the worker end.

        `moved` grows with everything that the worker does.
        """


class Alone:
    """The end of one worker is the end of all.

    >>> Alone().reached(moved=5)
    True
    """

    def begin(self, wake: Callable[[], object]) -> None:
        """Nobody else has a word to say."""

    def reached(self, moved: int) -> bool:
        return True


async def tasks_behind(
    transport: Transport,
    group: str,
    partitions: Mapping[str, Iterable[TopicPartition]],
    limits: Mapping[TopicPartition, int],
) -> list[str]:
    """Those of the tasks (`partitions` has what each reads) whose committed offsets are before the end: that of
    `limits`, else of the log with all that is not decided yet.
    """
    tps = {tp for read in partitions.values() for tp in read}
    if not tps:
        return []
    committed = await transport.committed(group, tps)
    new = [tp for tp in tps if committed[tp] is None]
    began = await transport.earliest(new)
    ends = await transport.latest(tps - limits.keys(), "read_uncommitted") | dict(limits)

    def is_behind(tp: TopicPartition) -> bool:
        known = committed[tp]
        return ends[tp] > (began[tp] if known is None else known.offset)

    return [task for task, read in partitions.items() if any(map(is_behind, read))]
