"""Every error that users of `streams` can meet. Each says what happened, where, and what to do."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams.transport.contract import ConnectionLostError as ConnectionLostError
    from streams.transport.contract import TransportError as TransportError
    from streams.transport.contract import UnknownTopicError as UnknownTopicError
    from streams.transport.joined import HolderSilentError as HolderSilentError

# Of parts that import this module; found here when asked for.
_ELSEWHERE = {
    "ConnectionLostError": "streams.transport.contract",
    "HolderSilentError": "streams.transport.joined",
    "TransportError": "streams.transport.contract",
    "UnknownTopicError": "streams.transport.contract",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ELSEWHERE[name]), name)


class StreamsError(Exception):
    """Base of all errors raised by `streams`. `task` is the id of the task that failed, if it was in one: "flights-3"
    is partition 3 of the sub-topology that begins at topic flights. `line` says where in the user's code, if it was
    there.
    """

    task: str | None = None
    line: str | None = None

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said} ({self.line})" if self.line else said


class ConfigError(StreamsError, ValueError):
    """A setting or an argument that can't be used."""


class TopologyError(StreamsError):
    """An app whose parts don't fit together: found when it is built or started, never later."""


class UnknownFieldError(TopologyError, AttributeError):
    """An expression of a field that the record has not.

    >>> print(UnknownFieldError("Order", "amonut", ["customer", "amount"], "shop.py:12"))
    Order.amonut at shop.py:12: no such field or method. Order has customer, amount. Did you mean 'amount'?
    """

    def __init__(self, owner: str, name: str, known: Iterable[str], where: str) -> None:
        known = list(known)
        has = f" {owner} has {', '.join(known)}." if known else ""
        super().__init__(f"{owner}.{name} at {where}: no such field or method.{has}{did_you_mean(name, known)}")


class StoreRenamedError(TopologyError):
    """The log holds the changelog of a store that the app no longer names.

    >>> raise StoreRenamedError("late", data_dir="./flights-data", names=["late-flights"])
    Traceback (most recent call last):
    streams.errors.StoreRenamedError: store 'late' is in ./flights-data but not in the app, which has 'late-flights'. \
A name is a contract: give the table its old name back (name='late'), or remove the store with \
`streams reset APP --store late`. If it is another app's, these two have the same id, and each needs its own.
    """

    def __init__(self, store: str, *, data_dir: str, names: Iterable[str]) -> None:
        has = ", ".join(repr(name) for name in sorted(names)) or "no store"
        super().__init__(
            f"store {store!r} is in {data_dir} but not in the app, which has {has}. A name is a contract: give the "
            f"table its old name back (name={store!r}), or remove the store with `streams reset APP --store {store}`. "
            "If it is another app's, these two have the same id, and each needs its own."
        )


class RepartitionRenamedError(TopologyError):
    """A repartition topic holds records that are not processed, and the app reads it no longer.

    >>> raise RepartitionRenamedError("shop-by-city-repartition", records=7, names=["shop-by-town-repartition"])
    Traceback (most recent call last):
    streams.errors.RepartitionRenamedError: 7 records in 'shop-by-city-repartition' are not processed, and the app \
reads only 'shop-by-town-repartition'. A name is a contract: give the step its old name back and let it process them \
(`streams worker APP --until-end`), or let go of them with `streams topics delete shop-by-city-repartition`.
    """

    def __init__(self, topic: str, *, records: int, names: Iterable[str]) -> None:
        has = ", ".join(repr(name) for name in sorted(names)) or "no such topic"
        super().__init__(
            f"{records} records in {topic!r} are not processed, and the app reads only {has}. A name is a contract: "
            "give the step its old name back and let it process them (`streams worker APP --until-end`), or let go of "
            f"them with `streams topics delete {topic}`."
        )


class PartitionCountError(TopologyError):
    """A topic has another number of partitions than the app declares, or was started with before.

    >>> raise PartitionCountError("flights", expected=4, found=6)
    Traceback (most recent call last):
    streams.errors.PartitionCountError: topic 'flights' has 6 partitions and had 4. Keys now belong to other \
partitions than the ones whose state holds them: go back to 4, or start from the beginning with `streams reset APP`.
    >>> raise PartitionCountError("flights", expected=4, found=6, declared=True)
    Traceback (most recent call last):
    streams.errors.PartitionCountError: topic 'flights' has 6 partitions, and the app declares 4. A topic keeps the \
number it was made with: say partitions=6, or use a topic of another name.
    """

    def __init__(
        self, topic: str, *, expected: int, found: int, declared: bool = False, tells: str | None = None
    ) -> None:
        """`tells` is the internal topic that still has as many as there were."""
        witness = "" if tells is None else f": {tells!r}, which goes with it, has {expected}"
        super().__init__(
            f"topic {topic!r} has {found} partitions, and the app declares {expected}. A topic keeps the number it was "
            f"made with: say partitions={found}, or use a topic of another name."
            if declared
            else f"topic {topic!r} has {found} partitions and had {expected}{witness}. Keys now belong to other "
            f"partitions than the ones whose state holds them: go back to {expected}, or start from the beginning with "
            "`streams reset APP`."
        )


class BufferFullError(StreamsError):
    """A step holds back more than it may, and was told to stop then (`suppress(when_full="stop")`)."""


class RecordError(StreamsError):
    """One record could not be handled; `step`, `topic`, `partition` and `offset` say which and where, `line` where in
    the user's code, if it was there.

    What goes to the error policy (see `streams.policies`).
    """

    def __init__(
        self,
        reason: str,
        *,
        step: str | None = None,
        topic: str | None = None,
        partition: int | None = None,
        offset: int | None = None,
        line: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.step = step
        self.topic = topic
        self.partition = partition
        self.offset = offset

    @property
    def place(self) -> str:
        """Step and topic-partition-offset as text; empty when neither is known.

        >>> RecordError("x", step="filter", topic="flights", partition=0, offset=41).place
        'filter, flights-0 @ 41'
        """
        record = None if self.topic is None else self.topic
        if record is not None and self.partition is not None:
            record += f"-{self.partition}"
        if record is not None and self.offset is not None:
            record += f" @ {self.offset}"
        return ", ".join(part for part in (self.step, record) if part)

    def __str__(self) -> str:
        what = f"{self.reason} ({self.line})" if self.line else self.reason
        return f"{self.place}: {what}" if self.place else what


class DecodeError(RecordError):
    """Bytes that are not what the serde expects."""


class EncodeError(RecordError):
    """A key or value of a type that the serde can't write."""


class UserCodeError(RecordError):
    """A function of the user's app raised `cause`.

    >>> try:
    ...     {}["AA"]
    ... except KeyError as error:
    ...     print(UserCodeError(error, step="map_values", topic="flights", partition=0, offset=7))
    map_values, flights-0 @ 7: KeyError: 'AA' (<doctest streams.errors.UserCodeError[0]>:2 in <module>)
    """

    def __init__(
        self,
        cause: BaseException,
        *,
        step: str | None = None,
        topic: str | None = None,
        partition: int | None = None,
        offset: int | None = None,
    ) -> None:
        self.cause = cause
        what = traceback.format_exception_only(cause)[-1].strip()
        line = user_line(cause.__traceback__)
        super().__init__(what, step=step, topic=topic, partition=partition, offset=offset, line=line)
        self.__cause__ = cause


class AskError(RecordError):
    """An agent was asked, and there is no answer. In an agent that asks, it goes to that one's error policy."""


class AskTimeoutError(AskError, TimeoutError):
    """No answer came in time."""

    def __init__(self, agent: str, topic: str, timeout_s: float) -> None:
        super().__init__(
            f"agent {agent!r} did not answer within {timeout_s:g} s. Does a worker run it? It reads {topic!r}, and "
            "answers with what it yields; what it has before it comes first. The request stays in the topic, so it may "
            "yet be processed. More time: ask(..., timeout=), or the setting ask_timeout_ms."
        )
        self.agent = agent


class NoReplyError(AskError):
    """The agent was done with the request, and had yielded nothing for it.

    >>> raise NoReplyError("watch")
    Traceback (most recent call last):
    streams.errors.NoReplyError: agent 'watch' was done with the request and yielded nothing for it: ...
    """

    def __init__(self, agent: str) -> None:
        super().__init__(
            f"agent {agent!r} was done with the request and yielded nothing for it: there is no answer. An agent that "
            "is asked yields for each record, if only None; use `cast` where no answer is wanted."
        )
        self.agent = agent


class AgentFailedError(AskError):
    """The agent that was asked failed at the request; `kind` is the class of its error. What becomes of the record is
    up to the agent's error policy.

    >>> raise AgentFailedError("price", "KeyError: 'tea'", kind="KeyError", topic="shop-price", partition=0, offset=3)
    Traceback (most recent call last):
    streams.errors.AgentFailedError: agent price, shop-price-0 @ 3: KeyError: 'tea'
    """

    def __init__(
        self,
        agent: str,
        reason: str,
        *,
        kind: str,
        step: str | None = None,
        topic: str | None = None,
        partition: int | None = None,
        offset: int | None = None,
        line: str | None = None,
    ) -> None:
        place = f"agent {agent}" if step in (None, agent) else f"agent {agent}, {step}"
        super().__init__(reason, step=place, topic=topic, partition=partition, offset=offset, line=line)
        self.agent = agent
        self.kind = kind


class TaskFailedError(StreamsError):
    """A task stopped at an error that no record is to blame for; it is the `__cause__`."""


@contextmanager
def failing_in(task: str) -> Iterator[None]:
    """What is raised meanwhile comes out as a StreamsError that knows its task, and the line of the user's code.

    >>> with failing_in("flights-3"):
    ...     [].pop()
    Traceback (most recent call last):
    streams.errors.TaskFailedError: IndexError: pop from empty list (<doctest ...
    """
    try:
        yield
    except StreamsError as error:
        error.task, error.line = task, error.line or own_line(error.__traceback__)
        raise
    except Exception as error:
        line = user_line(error.__traceback__)
        what = f"{type(error).__name__}: {error}" + (f" ({line})" if line else "")
        failed = TaskFailedError(what)
        failed.task = task
        raise failed from error


class NeedsRows(StreamsError):
    """An expression whose answer on these columns would not be exactly that of the rows. The caller takes the rows."""


_OURS = tuple(str(Path(__file__).parents[1] / package) + "/" for package in ("streams", "state", "broker_embedded"))


@cache
def _libraries() -> tuple[str, ...]:
    import sysconfig

    return ("<frozen", *{sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def user_line(trace: TracebackType | None) -> str | None:
    """`file:line in function` of the deepest frame that is the user's own; None if there is none.

    Code of this package, the standard library and installed packages is passed over: the error may be raised there,
    but the line to look at is the one that called it.
    """
    return own_line(trace) or _line([f for f in traceback.extract_tb(trace) if not f.filename.startswith(_OURS)])


def own_line(trace: TracebackType | None) -> str | None:
    """The same, and None if only packages of others are in it."""
    return _line([f for f in traceback.extract_tb(trace) if not f.filename.startswith((*_OURS, *_libraries()))])


def _line(frames: list[traceback.FrameSummary]) -> str | None:
    if not frames:
        return None
    last = frames[-1]
    return (
        last.filename if last.filename.startswith("<expression ") else f"{last.filename}:{last.lineno} in {last.name}"
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence with the nearest of the `known` names, or empty text.

    >>> did_you_mean("comit_interval_ms", ["commit_interval_ms", "data_dir"])
    " Did you mean 'commit_interval_ms'?"
    >>> did_you_mean("zzz", ["data_dir"])
    ''
    """
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
