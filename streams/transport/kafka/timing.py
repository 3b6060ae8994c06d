"""How long a cluster is waited for; the names are Kafka's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """A request without an answer for `request_timeout_ms` is sent again, as is one whose error passes by itself, until
    `retry_timeout_ms` are over; pauses go from `reconnect_backoff_ms` to `reconnect_backoff_max_ms`. Who leads which
    partition is known for `metadata_max_age_ms`.

    >>> [Timing(reconnect_backoff_ms=100, reconnect_backoff_max_ms=300).pause_s(attempt) for attempt in range(4)]
    [0.1, 0.2, 0.3, 0.3]
    """

    request_timeout_ms: int = 30_000
    retry_timeout_ms: int = 60_000
    reconnect_backoff_ms: int = 20
    reconnect_backoff_max_ms: int = 1_000
    metadata_max_age_ms: int = 300_000
    connections_max_idle_ms: int = 540_000

    def pause_s(self, attempt: int) -> float:
        """Before the next attempt, the first of which is 0."""
        return min(self.reconnect_backoff_ms << min(attempt, 30), self.reconnect_backoff_max_ms) / 1000
