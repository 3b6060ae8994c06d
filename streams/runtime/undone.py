"""Finds stores that hold what the log has taken back.

After a power cut a log may have kept the changes of a commit and lost that it was one. Its transaction is then aborted,
and the abort's marker may stand where the commit's stood: a store that has those changes is ahead of its log, though
its checkpoint does not lie beyond the log's end. It shows in the last change before the checkpoint: a reader of
committed records does not see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from broker_embedded import records
from streams.transport.committed import read_committed
from streams.transport.contract import Fetched, TopicPartition, Transport


async def undone(
    transport: Transport,
    offsets: Iterable[tuple[TopicPartition, int]],
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> set[tuple[TopicPartition, int]]:
    """Those of `offsets` (partition, offset after a change that was committed) whose change is not committed now.

    `starts` and `ends` are where the logs begin and their last stable offsets; what is not between is left to others.
    """
    found = set()
    waiting = {(tp, offset) for tp, offset in offsets if starts[tp] < offset <= ends[tp]}
    while waiting:
        # One offset of a partition at a time: a store in the midst of a commit asks for two.
        asked = dict(sorted(waiting, reverse=True))
        for fetched in await transport.fetch({tp: offset - 1 for tp, offset in asked.items()}, wait_ms=1_000):
            offset = asked[fetched.tp]
            waiting.discard((fetched.tp, offset))
            if _is_undone(fetched, offset - 1):
                found.add((fetched.tp, offset))
    return found


def _is_undone(fetched: Fetched, offset: int) -> bool:
    """Whether a batch has the offset, and it is a marker or aborted. Compaction may have left out what no batch has."""
    if any(header.base_offset <= offset <= header.last_offset for header, _ in read_committed(fetched)):
        return False
    headers = (header for piece in fetched.data for header, _ in records.batches(piece))
    return any(header.base_offset <= offset <= header.last_offset for header in headers)
