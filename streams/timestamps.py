"""The event time of a record: the annotation `Timestamp`, and how text becomes ms when a record is made."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, get_args, get_origin

import msgspec

_EVENT_TIME = msgspec.Meta(description="Event time: ms since 1970, or ISO-8601 text.", extra={"streams": "event time"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

if TYPE_CHECKING:
    Timestamp: TypeAlias = Annotated[int, _EVENT_TIME]
else:
    # The decoder lets text in and `post_init` turns it into ms right after: what a record holds is always an int.
    Timestamp: TypeAlias = Annotated[int | str, _EVENT_TIME]


def iso_to_ms(text: str) -> int:
    """ISO-8601 text as ms since 1970, cut to whole ms; without an offset it is UTC. Raises ValueError.

    >>> iso_to_ms("2013-01-01T05:15:00.5-05:00"), iso_to_ms("2013-01-01")
    (1357035300500, 1356998400000)
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither ms since 1970 nor ISO-8601 text") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def is_timestamp(kind: Any) -> bool:
    """Whether a field's type is `Timestamp`, or that or None.

    >>> is_timestamp(Timestamp), is_timestamp(Timestamp | None), is_timestamp(int)
    (True, True, False)
    """
    return any(_EVENT_TIME in getattr(arm, "__metadata__", ()) for arm in arms(kind))


def arms(kind: Any) -> Iterator[Any]:
    """The alternatives of a union, or the one type itself; what is Annotated stays so.

    >>> list(arms(int | None)), list(arms(list[int]))
    ([<class 'int'>, <class 'NoneType'>], [list[int]])
    """
    if get_origin(kind) in (Union, UnionType):
        yield from get_args(kind)
    else:
        yield kind


def declared_timestamps(namespace: dict[str, Any]) -> list[str]:
    """Fields that may hold event time, read off the body of a class before the class exists.

    msgspec takes a `__post_init__` then or never. A postponed annotation is text whose names may not exist yet, so it
    is searched, not evaluated; a field too many costs a type check per record and nothing else.
    """
    module = sys.modules.get(namespace.get("__module__", ""))
    names = {"Timestamp", *(name for name, value in vars(module or object).items() if value is Timestamp)}
    return [
        field
        for field, kind in annotations_of(namespace).items()
        if (names & set(re.findall(r"\w+", kind)) if isinstance(kind, str) else is_timestamp(kind))
    ]


def post_init(timestamps: tuple[str, ...], then: Callable[[Any], None] | None) -> Callable[[Any], None]:
    """`__post_init__` as one would write it by hand, since every record decoded runs it; `then` is the user's own."""
    lines = [
        f"    if type(self.{field}) is str: set_field(self, {field!r}, to_ms(self.{field}))" for field in timestamps
    ]
    lines += ["    then(self)"] if then else []
    names: dict[str, Any] = {"set_field": msgspec.structs.force_setattr, "to_ms": iso_to_ms, "then": then}
    exec("\n".join(["def __post_init__(self):", *lines]), names)
    hook: Any = names["__post_init__"]
    hook.then = then
    return hook  # type: ignore[no-any-return]


def has_own_post_init(record: Any) -> bool:
    """Whether code of the user's runs when a record of this class is made.

    >>> from streams import Record
    >>> class Click(Record):
    ...     at: Timestamp
    >>> class Checked(Click):
    ...     def __post_init__(self) -> None: ...
    >>> has_own_post_init(Click), has_own_post_init(Checked)
    (False, True)
    """
    hook: Any = getattr(record, "__post_init__", None)
    while hasattr(hook, "then"):
        hook = hook.then
    return hook is not None


def annotations_of(namespace: dict[str, Any]) -> dict[str, Any]:
    """The annotations in the body of a class that does not exist yet; postponed ones are text."""
    if sys.version_info >= (3, 14) and "__annotations__" not in namespace:
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        form = annotationlib.Format.FORWARDREF
        return annotationlib.call_annotate_function(annotate, form) if annotate else {}
    annotations: dict[str, Any] = namespace.get("__annotations__", {})
    return annotations
