"""The functions that users would write, as data: {"fn": name, ...} into Python. `java/Functions.java` is the same for
Kafka Streams; whatever is added goes into both.

A value may come as a row, as a bare number (a row with only an n), or as a dict, where no type was declared. What can
be written as a column expression has that, too: `predicate_expression` and its like give None for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streams
from streams import agg
from streams.expressions import Expression, col
from streams.windows import Windowed

Fn = dict[str, Any]


class Row(streams.Record):
    """What all topics hold."""

    n: int | None = None
    s: str | None = None
    d: float | None = None


# -- rows


def _field(value: Any, name: str) -> Any:
    if isinstance(value, int):
        return value if name == "n" else None
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def row(value: Any, **changed: Any) -> Row:
    return Row(**({name: _field(value, name) for name in ("n", "s", "d")} | changed))


def _text(value: Any) -> str:
    """The text of a row; of a null `null`, of a row without text `-`."""
    if value is None:
        return "null"
    text = _field(value, "s")
    return "-" if text is None else str(text)


def _key_text(key: Any) -> str:
    return "null" if key is None else str(key)


def plain(key: Any) -> Any:
    """The key itself, also of a window's key."""
    return plain(key.key) if isinstance(key, Windowed) else key


# -- of a record


def predicate(fn: Fn) -> Callable[[Any, Any], bool | None]:
    """True, False, or None where the field it asks for is missing."""

    def of_field(name: str, holds: Callable[[Any], bool]) -> Callable[[Any, Any], bool | None]:
        def asked(key: Any, value: Any) -> bool | None:
            field = _field(value, name)
            return None if field is None else holds(field)

        return asked

    match fn["fn"]:
        case "is_even":
            return of_field("n", lambda n: n % 2 == 0)
        case "n_less":
            return of_field("n", lambda n: n < fn["than"])
        case "s_is":
            return of_field("s", lambda s: s == fn["text"])
        case "d_more":
            return of_field("d", lambda d: d > fn["than"])
        case "has_n":
            return lambda key, value: _field(value, "n") is not None
        case "has_value":
            return lambda key, value: value is not None
        case "key_is":
            return lambda key, value: plain(key) == fn["key"]
        case "any":
            return lambda key, value: True
    raise ValueError(f"no predicate {fn}")


def keeps(fn: Fn, *, negate: bool) -> Callable[[Any, Any], bool]:
    """The predicate for `filter` or `filter_not`: both drop a record for which it is None."""
    holds = predicate(fn)
    if negate:
        return lambda key, value: holds(key, value) is not False
    return lambda key, value: holds(key, value) is True


def predicate_expression(fn: Fn) -> Expression | None:
    match fn["fn"]:
        case "is_even":
            return col(Row.n) % 2 == 0
        case "n_less":
            return col(Row.n) < fn["than"]
        case "s_is":
            return col(Row.s) == fn["text"]
        case "d_more":
            return col(Row.d) > fn["than"]
        case "has_n":
            return ~col(Row.n).is_null()
    return None


def value(fn: Fn) -> Callable[[Any, Any], Any]:
    """A new value; but for `make`, nothing comes of a null."""
    made = _value(fn)
    if fn["fn"] == "make":
        return made
    return lambda key, value: None if value is None else made(key, value)


def _value(fn: Fn) -> Callable[[Any, Any], Any]:
    def plus(value: Any) -> int | None:
        n = _field(value, "n")
        return None if n is None else n + fn["by"]

    match fn["fn"]:
        case "make":
            return lambda key, value: Row(n=fn["n"])
        case "same":
            return lambda key, value: value
        case "add":
            return lambda key, value: row(value, n=plus(value))
        case "n_plus":
            return lambda key, value: plus(value)
        case "tag":
            return lambda key, value: row(value, s=_text(value) + fn["text"])
        case "with_key":
            return lambda key, value: row(value, s=f"{_key_text(plain(key))}={_text(value)}")
        case "null_if":
            holds = predicate(fn["if"])
            return lambda key, value: None if holds(key, value) else value
    raise ValueError(f"no function of values {fn}")


def value_expression(fn: Fn) -> Expression | None:
    return col(Row.n) + fn["by"] if fn["fn"] == "n_plus" else None


def key(fn: Fn) -> Callable[[Any, Any], Any]:
    match fn["fn"]:
        case "same_key":
            return lambda key, value: key
        case "plain_key":
            return lambda key, value: plain(key)
        case "s_key":
            return lambda key, value: _field(value, "s")
        case "mod_key":
            return lambda key, value: None if _field(value, "n") is None else str(_field(value, "n") % fn["by"])
        case "const_key":
            return lambda key, value: fn["key"]
        case "key_and":
            return lambda key, value: _key_text(plain(key)) + fn["text"]
        case "null_key":
            return lambda key, value: None
        case "window_key":
            return lambda key, value: f"{key.key}@{key.start}-{key.end}" if isinstance(key, Windowed) else key
    raise ValueError(f"no function of keys {fn}")


def key_expression(fn: Fn) -> Expression | None:
    return col(Row.s) if fn["fn"] == "s_key" else None


def pair(fn: Fn) -> Callable[[Any, Any], tuple[Any, Any]]:
    """{"key": function of keys, "value": function of values}."""
    new_key, new_value = key(fn["key"]), value(fn["value"])
    return lambda key, value: (new_key(key, value), new_value(key, value))


def values(fn: Fn) -> Callable[[Any, Any], list[Any]]:
    """Many values of one; none of a null."""
    match fn["fn"]:
        case "twice":
            return lambda key, value: [] if value is None else [row(value), row(value, s=_text(value) + "'")]
        case "times_n":
            return lambda key, value: [row(value, n=copy, d=None) for copy in range((_field(value, "n") or 0) % 3)]
    raise ValueError(f"no function of many values {fn}")


def pairs(fn: Fn) -> Callable[[Any, Any], list[tuple[Any, Any]]]:
    """{"key": function of keys, "values": many values}: the key function sees each new value."""
    new_key, many = key(fn["key"]), values(fn["values"])
    return lambda key, value: [(new_key(key, made), made) for made in many(key, value)]


def topic(fn: Fn) -> Callable[[Any, Any], str]:
    topics: list[str] = fn["topics"]
    return lambda key, value: topics[(_field(value, "n") or 0) % len(topics)]


# -- of two values


def initial(fn: Fn) -> Row:
    """Zeros; for `named` nothing, as it begins with the first that is not missing."""
    return Row() if fn["fn"] == "named" else Row(n=0, s="", d=0.0)


def aggregator(fn: Fn) -> Callable[[Any, Any, Any], Any]:
    """(key, aggregate, value) -> aggregate."""
    match fn["fn"]:
        case "fold":
            return lambda key, aggregate, value: _folded(fn, aggregate, value, "|", 1)
        case "unfold":
            return lambda key, aggregate, value: _folded(fn, aggregate, value, "~", -1)
        case "named":
            return lambda key, aggregate, value: _named(fn, aggregate, value)
    raise ValueError(f"no aggregator {fn}")


def reducer(fn: Fn) -> Callable[[Any, Any], Any]:
    """(old, value) -> value."""
    match fn["fn"]:
        case "fold":
            return lambda old, value: _folded(fn, old, value, "|", 1)
        case "unfold":
            return lambda old, value: _folded(fn, old, value, "~", -1)
        case "last":
            return lambda old, value: value
    raise ValueError(f"no reducer {fn}")


def merger(fn: Fn) -> Callable[[Any, Any, Any], Any]:
    """(key, aggregate of one session, of the other) -> aggregate."""
    return lambda key, one, other: _folded(fn, one, other, "&", 1)


def _folded(fn: Fn, one: Any, other: Any, mark: str, sign: int) -> Row | None:
    n = (_field(one, "n") or 0) + sign * (_field(other, "n") or 0)
    if "null_at" in fn and n % fn["null_at"] == 0:
        return None
    d = (_field(one, "d") or 0.0) + sign * (_field(other, "d") or 0.0)
    return Row(n=n, s=_text(one) + mark + _text(other), d=d)


def _named(fn: Fn, aggregate: Any, value: Any) -> Row:
    made = row(aggregate)
    for name in ("n", "s", "d"):
        state, given = _field(aggregate, name), _field(value, name)
        if fn.get(name) == "count":
            made = row(made, n=(state or 0) + 1)
        elif name in fn and given is not None:
            made = row(made, **{name: given if state is None else _BETTER[fn[name]](state, given)})
    return made


_BETTER: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda state, given: state + given,
    "min": min,
    "max": max,
    "first": lambda state, given: state,
    "last": lambda state, given: given,
}


def named_aggregates(fn: Fn) -> dict[str, Any] | None:
    """The same by the aggregates that run on columns; None for other aggregators."""
    if fn["fn"] != "named":
        return None
    fields = {name: fn[name] for name in ("n", "s", "d") if name in fn}
    return {
        name: agg.count() if how == "count" else getattr(agg, how)(getattr(Row, name)) for name, how in fields.items()
    }


def joiner(fn: Fn, *, keyed: bool) -> Callable[..., Any]:
    """(left, right), or (key, left, right)."""
    if keyed:
        return lambda key, left, right: _joined(fn, key, left, right)
    return lambda left, right: _joined(fn, None, left, right)


def _joined(fn: Fn, key: Any, left: Any, right: Any) -> Row | None:
    n = (_field(left, "n") or 0) - (_field(right, "n") or 0)
    if "null_at" in fn and n % fn["null_at"] == 0:
        return None
    marked = f"{_key_text(plain(key))}:" if fn.get("with_key") else ""
    d = _field(right, "d") if _field(left, "d") is None else _field(left, "d")
    return Row(n=n, s=f"{marked}({_text(left)},{_text(right)})", d=d)
