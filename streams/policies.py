"""What happens to a record that can't be handled: one small value, for an app or for one operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from streams.durations import Duration, to_ms
from streams.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class Stop:
    """The task stops with the error; nothing of the current transaction is committed."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The record is left out and counted."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The record goes to a topic, its reason in the headers. None: `<app id>-dead-letter`."""

    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The record is tried again up to `times` times, then handed to the policy `then`."""

    times: int
    backoff_ms: int
    backoff_ms_max: int
    then: Stop | Skip | DeadLetter

    def delay_ms(self, attempt: int) -> int:
        """Wait before attempt 1, 2, ...: doubles each time, up to `backoff_ms_max`.

        >>> [retry(5, backoff="100ms", longest="1s").delay_ms(attempt) for attempt in (1, 2, 3, 4, 5)]
        [100, 200, 400, 800, 1000]
        """
        doublings = min(attempt - 1, 62)  # beyond 62 any delay is over the limit, and the shift would only grow
        return min(self.backoff_ms << doublings, self.backoff_ms_max)


Policy: TypeAlias = Stop | Skip | DeadLetter | Retry


def stop() -> Stop:
    """Stop the task on the first error. The default.

    >>> stop()
    Stop()
    """
    return Stop()


def skip() -> Skip:
    """Leave the record out and count it.

    >>> skip()
    Skip()
    """
    return Skip()


def dead_letter(topic: str | None = None) -> DeadLetter:
    """Send the record, as it was read, to `topic` with headers that say why.

    >>> dead_letter("flights-broken")
    DeadLetter(topic='flights-broken')
    """
    return DeadLetter(topic)


def retry(
    times: int = 3,
    backoff: Duration = "100ms",
    *,
    longest: Duration = "30s",
    then: Stop | Skip | DeadLetter | None = None,
) -> Retry:
    """Try again `times` times, waiting `backoff`, then twice that, up to `longest`; then `then` (default `stop()`).

    >>> retry(3, then=dead_letter())
    Retry(times=3, backoff_ms=100, backoff_ms_max=30000, then=DeadLetter(topic=None))
    """
    if times < 1:
        raise ConfigError(f"retry(times={times}) never tries again; give 1 or more, or use the policy `then` alone.")
    if isinstance(then, Retry):
        raise ConfigError("retry(then=retry(...)): add the times up instead, or give stop(), skip() or dead_letter().")
    return Retry(times, to_ms(backoff, "backoff"), to_ms(longest, "longest"), then or Stop())


def policy_from_text(text: str) -> Policy:
    """The policy a setting names: `stop`, `skip`, `dead-letter`, `dead-letter:TOPIC`, `retry`, `retry:TIMES`.

    >>> policy_from_text("dead-letter:broken"), policy_from_text("skip")
    (DeadLetter(topic='broken'), Skip())
    """
    name, _, argument = text.strip().partition(":")
    match name.strip().lower().replace("_", "-"):
        case "stop" if not argument:
            return Stop()
        case "skip" if not argument:
            return Skip()
        case "dead-letter":
            return DeadLetter(argument or None)
        case "retry" if not argument or argument.isdigit():
            return retry(int(argument)) if argument else retry()
    known = ["stop", "skip", "dead-letter", "retry"]
    raise ConfigError(
        f"{text!r} is not an error policy.{did_you_mean(name, known)} "
        "Known: stop, skip, dead-letter, dead-letter:TOPIC, retry, retry:TIMES."
    )
