"""What happens to a record that a step cannot process: the error policy, applied.

A record may be tried again after a back-off, written to a dead-letter topic with the reason in its headers, skipped
(and counted), or stop the app. Whatever happens, it is counted by step and outcome; nothing is dropped unseen.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from streams.batch import Batch
from streams.errors import RecordError, StreamsError, UserCodeError, user_line
from streams.graph.nodes import Node
from streams.origin import OriginalRecord
from streams.policies import DeadLetter, Policy, Retry, Skip

if TYPE_CHECKING:
    from streams.operators.outputs import Outputs

log = logging.getLogger("streams.worker")

NOT_DROPPED = frozenset({"retry", "stop"})
"""Outcomes after which a record is still to be processed."""


class TryAgain(Exception):
    """The policy wants the record tried once more after `delay_s` seconds."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(f"try again in {delay_s} s")
        self.delay_s = delay_s


class Failures:
    """Decides about failed records of one task.

    `counts` maps (step, outcome) to records, outcome one of "retry", "dead_letter", "skip", "stop", "null_key",
    "null_value", "late", "out_of_order" (a later change of the key is there), "no_window" (its time is before 1970),
    "duplicate", "negative_timestamp", "no_branch" (of a split), "no_partition" (a partitioner chose none).
    """

    def __init__(self, policy: Policy, outputs: Outputs, dead_letter_topic: str) -> None:
        self._policy = policy
        self._outputs = outputs
        self._dead_letter_topic = dead_letter_topic
        # The batch is kept with the count, so that no other can come to have its id.
        self._attempts: dict[tuple[str, int, int], tuple[Batch, int]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    @property
    def dropped_counts(self) -> Counter[tuple[str, str]]:
        """Those of `counts` that say that a record was left out."""
        return Counter({key: count for key, count in self.counts.items() if key[1] not in NOT_DROPPED})

    def stops(self, node: Node) -> bool:
        """Whether a record that fails in the step ends the app, so that none is ever left out."""
        policy = node.on_error or self._policy
        return not isinstance(policy.then if isinstance(policy, Retry) else policy, DeadLetter | Skip)

    def handle(self, node: Node, batch: Batch, index: int, error: Exception) -> None:
        """Returns when the record is to be left out; raises TryAgain, or the error that stops the app."""
        if isinstance(error, StreamsError) and not isinstance(error, RecordError):
            raise error  # the app is at fault, not a record: no policy makes that good
        policy = node.on_error or self._policy
        if isinstance(policy, Retry):
            self._retry(policy, node, batch, index)
            policy = policy.then
        if isinstance(policy, DeadLetter):
            self._left_out("dead_letter", node, batch, index, error)
            self._dead_letter(policy, node, batch, index, error)
        elif isinstance(policy, Skip):
            self._left_out("skip", node, batch, index, error)
        else:
            self.counts[node.name, "stop"] += 1
            raise described(error, node, batch, index)

    def give_up(self, node: Node, batch: Batch, index: int, error: Exception) -> None:
        """As `handle`, of what will be no better the next time, such as a value that does not encode: retries are used
        up at once.
        """
        while True:
            try:
                return self.handle(node, batch, index, error)
            except TryAgain:
                continue

    def dropped(self, node: Node, reason: str, records: int) -> None:
        """Counts records that a rule leaves out: "null_key", "null_value", "late" or "no_window"."""
        if records:
            self.counts[node.name, reason] += records

    def settled(self) -> None:
        """Nothing is being tried again: every record at hand is done."""
        self._attempts.clear()

    def _left_out(self, outcome: str, node: Node, batch: Batch, index: int, error: Exception) -> None:
        """Counts the record, and says so: of the first one aloud, as a thousand lines that say the same help nobody."""
        level = logging.DEBUG if self.counts[node.name, outcome] else logging.WARNING
        self.counts[node.name, outcome] += 1
        if log.isEnabledFor(level):
            more = "" if level == logging.DEBUG else "; further ones are counted, and told at level debug"
            log.log(level, "left out (%s): %s%s", outcome, described(error, node, batch, index), more)

    def _retry(self, policy: Retry, node: Node, batch: Batch, index: int) -> None:
        key = node.name, id(batch), index
        _, attempt = self._attempts.pop(key, (batch, 0))
        if attempt < policy.times:
            self._attempts[key] = batch, attempt + 1
            self.counts[node.name, "retry"] += 1
            raise TryAgain(policy.delay_ms(attempt + 1) / 1000)

    def _dead_letter(self, policy: DeadLetter, node: Node, batch: Batch, index: int, error: Exception) -> None:
        record = _original(batch, index) or OriginalRecord(
            _bytes(batch.keys[index]),
            _bytes(batch.values[index]),
            int(batch.timestamps[index]),
            batch.headers[index] if batch.headers is not None else (),
        )
        reason: list[tuple[str, bytes | None]] = [
            ("error.step", node.name.encode()),
            ("error.type", type(error).__name__.encode()),
            ("error.message", (error.reason if isinstance(error, RecordError) else str(error)).encode()),
            ("error.where", (user_line(error.__traceback__) or node.where).encode()),
        ]
        place = ("topic", "partition", "offset")
        found = zip(place, _place(batch, index), strict=True)
        reason += [(f"error.{name}", str(value).encode()) for name, value in found if value is not None]
        topic = policy.topic or self._dead_letter_topic
        self._outputs.add(topic, [record.key], [record.value], [record.timestamp], [[*record.headers, *reason]])


def described(error: Exception, node: Node, batch: Batch, index: int) -> RecordError:
    """The error that stops the app: step, record and user's line."""
    topic, partition, offset = _place(batch, index)
    if not isinstance(error, RecordError):
        made = UserCodeError(error, step=node.name, topic=topic, partition=partition, offset=offset)
        if made.line is None or made.line.startswith("<expression "):  # no line of the user's own, but that of the step
            made.line = node.where if made.line is None else f"{made.line} at {node.where}"
        return made
    if error.step is None:
        error.step, error.topic, error.partition, error.offset = node.name, topic, partition, offset
        error.line = error.line or user_line(error.__traceback__) or node.where
    return error


def _place(batch: Batch, index: int) -> tuple[str | None, int | None, int | None]:
    """Topic, partition and offset of the record that a row came from; None for a row that came from no single one."""
    offset = int(batch.offsets[index])
    return (None, None, None) if offset < 0 else (batch.topic, batch.partition, offset)


def _original(batch: Batch, index: int) -> OriginalRecord | None:
    return None if batch.origin is None else batch.origin.record(int(batch.offsets[index]))


def _bytes(value: Any) -> bytes | None:
    """A value as it can stand in a dead letter where no record was read: bytes and text as they are, the rest as JSON,
    and failing that its repr.
    """
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode(errors="backslashreplace")
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError):
        return repr(value).encode()
