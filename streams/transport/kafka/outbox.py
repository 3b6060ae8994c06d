"""What is on its way to one partition: batches in order, each numbered so that the broker takes it once (KIP-98).

Several may be under way (Kafka lets five). When one fails, those behind it are awaited before anything is sent again:
the broker refuses what does not follow the last number it has, so they have failed as well, or their answer is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from broker_embedded import records
from streams.transport.contract import ConnectionLostError, TopicPartition, TransportError
from streams.transport.error_codes import RetryError

UNDER_WAY_MOST = 5
"""Of so many batches of a producer in a partition the broker knows the numbers."""
_SEQUENCE_MAX = 0x7FFFFFFF
_PAUSE_FIRST_S, _PAUSE_MOST_S = 0.0025, 1.0


class ForgottenError(TransportError):
    """The broker refuses a batch for its number."""


@dataclass(slots=True, eq=False)
class Entry:
    """A batch, and what became of it: `result` is its offset or an error. `since` is when it was first sent (s).

    It keeps its number until it is known that it is not there; `was_lost`: it may be.
    """

    batch: bytearray
    answer: asyncio.Future[int]
    count: int = field(init=False)
    sequence: int | None = None
    was_lost: bool = False
    since: float | None = None
    result: int | TransportError | None = None
    renumbered: bool = False

    def __post_init__(self) -> None:
        self.count = records.read_header(self.batch).last_offset_delta + 1

    def fail(self, error: TransportError) -> None:
        """It is given up."""
        self.result = error
        self.finish()

    def finish(self) -> None:
        """Tells whoever waits."""
        if self.answer.done():
            return
        if isinstance(self.result, TransportError):
            self.answer.set_exception(self.result)
        elif self.result is not None:
            self.answer.set_result(self.result)


class Outbox:
    """The batches of one partition. `identity` is the producer id and epoch that they are sent under, None for one that
    has to be asked for: a batch may be there or not, and the next one must not pass for it (KIP-360).
    """

    def __init__(self, tp: TopicPartition, identity: tuple[int, int]) -> None:
        self.tp = tp
        self.identity: tuple[int, int] | None = identity
        self.sequence = 0
        self.waiting: deque[Entry] = deque()
        self.under_way: deque[Entry] = deque()
        self.resume_s = 0.0
        self._halted = False
        self._is_known = False  # where the broker has no number yet it takes any for the first
        self._pause_s = _PAUSE_FIRST_S

    def ready(self, now_s: float) -> bool:
        """Whether its next batch may be sent."""
        has_room = not self._halted and len(self.under_way) < (UNDER_WAY_MOST if self._is_known else 1)
        return bool(self.waiting) and has_room and now_s >= self.resume_s

    def take(self, now_s: float, *, is_transactional: bool) -> Entry:
        """The next batch, numbered."""
        assert self.identity is not None
        entry = self.waiting.popleft()
        producer_id, epoch = self.identity
        if entry.sequence is None:
            entry.sequence, self.sequence = self.sequence, (self.sequence + entry.count) & _SEQUENCE_MAX
        records.set_producer(
            entry.batch,
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=entry.sequence,
            is_transactional=is_transactional,
        )
        entry.since = entry.since or now_s
        entry.result = None
        self.under_way.append(entry)
        return entry

    def renew(self, identity: tuple[int, int]) -> None:
        """Numbers begin anew, under another producer id or epoch."""
        self.identity, self._is_known = identity, False
        self.renumber(0)

    def settle(self, entry: Entry, result: int | TransportError) -> bool:
        """An answer has come. True when nothing is under way and something has failed: see `failed`."""
        entry.result = result
        entry.was_lost = entry.was_lost or isinstance(result, ConnectionLostError)
        self._halted = self._halted or isinstance(result, TransportError)
        while self.under_way and isinstance(self.under_way[0].result, int):
            self.under_way.popleft().finish()
            self._is_known = True
            self._pause_s = _PAUSE_FIRST_S
        return self._halted and all(entry.result is not None for entry in self.under_way)

    def failed(self) -> tuple[list[Entry], bool]:
        """What was under way and has failed, in order, to be sent again or given up; and whether one behind the first
        of them was taken. It is under way no more.
        """
        found = [entry for entry in self.under_way if isinstance(entry.result, TransportError)]
        has_hole = len(found) < len(self.under_way)
        for entry in self.under_way:
            if entry not in found:
                entry.finish()
        self.under_way.clear()
        self._halted = False
        return found, has_hole

    def again(self, entries: list[Entry], now_s: float) -> None:
        """Sends what has failed again, in a moment."""
        self.waiting.extendleft(reversed(entries))
        self.resume_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, _PAUSE_MOST_S)

    def renumber(self, sequence: int) -> None:
        """Numbers what waits anew, from `sequence` on: none of it is there."""
        self.sequence = sequence
        for entry in self.waiting:
            entry.sequence = None


def may_pass(error: TransportError) -> bool:
    """Whether the same batch may be taken when it is sent again."""
    return isinstance(error, RetryError | ConnectionLostError)
