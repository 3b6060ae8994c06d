"""What happens to a record that a step cannot process: the error policy, applied.

A record may be tried again after a back-off, written to a dead-letter topic with the reason in its headers, skipped
(and counted), or stop the app. Whatever happens, it is counted by step and outcome; nothing is dropped unseen.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from streams.batch import Batch
from streams.errors import RecordError, UserCodeError, user_line
from streams.graph.nodes import Node
from streams.policies import DeadLetter, Policy, Retry, Skip

if TYPE_CHECKING:
    from streams.operators.outputs import Outputs

Raw = tuple[bytes | None, bytes | None]


class TryAgain(Exception):
    """The policy wants the record tried once more after `delay_s` seconds."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(f"try again in {delay_s} s")
        self.delay_s = delay_s


class Failures:
    """Decides about failed records of one task.

    `counts` maps (step, outcome) to records, outcome one of "retry", "dead_letter", "skip", "stop", "null_key", "late".
    """

    def __init__(self, policy: Policy, outputs: Outputs, dead_letter_topic: str) -> None:
        self._policy = policy
        self._outputs = outputs
        self._dead_letter_topic = dead_letter_topic
        self._attempts: dict[tuple[str, int], int] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def handle(self, node: Node, batch: Batch, index: int, error: Exception, raw: Raw | None = None) -> None:
        """Returns when the record is to be left out; raises TryAgain, or the error that stops the app."""
        policy = node.on_error or self._policy
        offset = int(batch.offsets[index])
        if isinstance(policy, Retry):
            self._retry(policy, node, offset)
            policy = policy.then
        if isinstance(policy, DeadLetter):
            self.counts[node.name, "dead_letter"] += 1
            self._dead_letter(policy, node, batch, index, error, raw)
        elif isinstance(policy, Skip):
            self.counts[node.name, "skip"] += 1
        else:
            self.counts[node.name, "stop"] += 1
            raise described(error, node, batch, index) from error

    def dropped(self, node: Node, reason: str, records: int) -> None:
        """Counts records that a rule leaves out: "null_key" or "late"."""
        if records:
            self.counts[node.name, reason] += records

    def _retry(self, policy: Retry, node: Node, offset: int) -> None:
        attempt = self._attempts.get((node.name, offset), 0)
        if attempt < policy.times:
            self._attempts[node.name, offset] = attempt + 1
            self.counts[node.name, "retry"] += 1
            raise TryAgain(policy.delay_ms(attempt + 1) / 1000)
        self._attempts.pop((node.name, offset), None)

    def _dead_letter(
        self, policy: DeadLetter, node: Node, batch: Batch, index: int, error: Exception, raw: Raw | None
    ) -> None:
        key, value = raw if raw is not None else (_bytes(batch.keys[index]), _bytes(batch.values[index]))
        reason: list[tuple[str, bytes | None]] = [
            ("error.step", node.name.encode()),
            ("error.type", type(error).__name__.encode()),
            ("error.message", str(error).encode()),
            ("error.where", (user_line(error.__traceback__) or node.where).encode()),
            ("error.topic", batch.topic.encode()),
            ("error.partition", str(batch.partition).encode()),
            ("error.offset", str(int(batch.offsets[index])).encode()),
        ]
        headers = list(batch.headers[index]) if batch.headers is not None else []
        topic = policy.topic or self._dead_letter_topic
        self._outputs.add(topic, [key], [value], [int(batch.timestamps[index])], [headers + reason])


def described(error: Exception, node: Node, batch: Batch, index: int) -> RecordError:
    """The error that stops the app: step, record and user's line."""
    if isinstance(error, RecordError):
        return error
    offset = int(batch.offsets[index])
    return UserCodeError(error, step=node.name, topic=batch.topic, partition=batch.partition, offset=offset)


def _bytes(value: Any) -> bytes | None:
    """A value as it can stand in a dead-letter record: bytes and text as they are, the rest as JSON, and failing that
    its repr.
    """
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError):
        return repr(value).encode()
