"""What the outputs of the app under chaos must be, from its input in plain Python; and whether they are.

What "equal to an undisturbed run" means differs from topic to topic, by what of it hangs on how tasks take turns:

| topic | what is compared |
|---|---|
| `large` | the records of each partition, in order, with their timestamps |
| `spent-changes` | the same: every change of a table is told |
| `settled` | the results of the join as a multiset, with timestamps: matches and those that left alone |
| `sales-closed` | each window of each key once, with timestamps, but for those of the last part |
| `visits-so-far` | how many records tell of a window depends on commits; each counts more than the last, the last all |
| `places` | the last row of each key. Those before: pairs of versions that were there, none older than the one before |
| `numbers` | for each product 1, 2, 3 ... without a gap or a repetition |
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

from streams.partitioner import partition_for
from tests.cluster.chaos_app import JOIN_MS, PARTITIONS, WINDOW_MS
from tests.cluster.chaos_input import Record, part_start

OUTPUTS = ("large", "spent-changes", "settled", "sales-closed", "visits-so-far", "places", "numbers")


class Row(NamedTuple):
    """A record of an output topic, its value decoded."""

    partition: int
    key: str
    value: Any
    timestamp: int


Comparable = dict[str, Any]


def expected(sent: Iterable[Record], *, closed_before: int) -> Comparable:
    """By output topic; `closed_before` is the number of the part that ends the others."""
    by_topic: dict[str, list[Record]] = defaultdict(list)
    for record in sent:
        by_topic[record.topic].append(record)
    orders = by_topic["orders"]
    large, spent = _in_order(orders)
    sales, visits = _windows(orders, part_start(closed_before))
    return {
        "large": large,
        "spent-changes": spent,
        "settled": _settled(orders, by_topic["payments"], part_start(closed_before)),
        "sales-closed": sales,
        "visits-so-far": visits,
        "places": _places(by_topic["items"], by_topic["shops"]),
        "numbers": dict(Counter(order.value.product for order in orders)),
    }


def _in_order(orders: Sequence[Record]) -> tuple[Any, Any]:
    large: dict[int, list[Any]] = defaultdict(list)
    spent: dict[int, list[Any]] = defaultdict(list)
    totals: dict[str, int] = defaultdict(int)
    times: dict[str, int] = defaultdict(int)
    for _, key, value, time in orders:
        partition, amount = partition_for(key.encode(), PARTITIONS), value.amount
        if amount > 50:
            large[partition].append((key, amount, time))
        totals[key] += amount
        times[key] = max(times[key], time)
        spent[partition].append((key, totals[key], times[key]))
    return dict(large), dict(spent)


def _settled(orders: Sequence[Record], payments: Sequence[Record], closing_ms: int) -> Counter[Any]:
    paid: dict[str, list[Record]] = defaultdict(list)
    for payment in payments:
        paid[payment.value.order].append(payment)
    found: Counter[Any] = Counter()
    for _, _, value, time in orders:
        order, amount = value.order, value.amount
        met = [payment for payment in paid[order] if abs(payment.timestamp - time) <= JOIN_MS]
        for payment in met:
            found[order, amount, payment.value.amount, max(time, payment.timestamp)] += 1
        if not met and time < closing_ms:
            found[order, amount, 0, time] += 1
    return found


def _windows(orders: Sequence[Record], closing_ms: int) -> tuple[Any, Any]:
    groups: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for order in orders:
        groups[order.value.product, order.timestamp // WINDOW_MS * WINDOW_MS].append(order)
    closed = Counter(
        (product, start, len(of), sum(o.value.amount for o in of), max(o.timestamp for o in of))
        for (product, start), of in groups.items()
        if start < closing_ms
    )
    return closed, {window: len(of) for window, of in groups.items()}


def _places(items: Sequence[Record], shops: Sequence[Record]) -> dict[str, Any]:
    """Of each item that is there in the end what it is joined with."""
    rating = {shop.key: shop.value for shop in shops}
    rows = {item.key: item.value for item in items}
    return {
        key: [row.version, -1 if (now := rating.get(row.shop)) is None else now]
        for key, row in rows.items()
        if row is not None
    }


# -- what was found


def found(rows: Mapping[str, Sequence[Row]]) -> Comparable:
    """The same from the records of the output topics, those of a partition in order."""
    return {name: FORMS[name](rows.get(name, ())) for name in OUTPUTS}


def _by_partition(rows: Sequence[Row]) -> Any:
    of: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        of[row.partition].append((row.key, row.value, row.timestamp))
    return dict(of)


def _as_multiset(rows: Sequence[Row]) -> Counter[Any]:
    return Counter((row.key, *row.value, row.timestamp) for row in rows)


def _growing(rows: Sequence[Row]) -> dict[Any, Any]:
    of: dict[Any, list[int]] = defaultdict(list)
    for row in rows:
        of[row.key, row.value[0]].append(row.value[1])
    return {window: counts[-1] if _grows(counts) else counts for window, counts in of.items()}


def _numbered(rows: Sequence[Row]) -> dict[str, Any]:
    of: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        of[row.key].append(row.value)
    return {
        product: numbers[-1] if numbers == list(range(1, len(numbers) + 1)) else _breaks(numbers)
        for product, numbers in of.items()
    }


def _breaks(numbers: Sequence[int]) -> str:
    at = next(n for n, number in enumerate(numbers, start=1) if n != number)
    return f"{len(numbers)} numbers, and at place {at} {numbers[max(0, at - 3) : at + 3]}"


def _last(rows: Sequence[Row]) -> dict[str, Any]:
    of: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        of[row.key].append(row.value)
    kept = {key: values[-1] if _goes_on(values) else values for key, values in of.items()}
    return {key: value for key, value in kept.items() if value is not None}


def _goes_on(values: Sequence[Any]) -> bool:
    """Whether the left version never goes back."""
    versions = [value[0] for value in values if value is not None]
    return all(before <= after for before, after in pairwise(versions))


def _grows(counts: Sequence[int]) -> bool:
    return all(before < after for before, after in pairwise(counts))


FORMS: dict[str, Callable[[Sequence[Row]], Any]] = {
    "large": _by_partition,
    "spent-changes": _by_partition,
    "settled": _as_multiset,
    "sales-closed": _as_multiset,
    "visits-so-far": _growing,
    "places": _last,
    "numbers": _numbered,
}


def differences(found: Comparable, expected: Comparable) -> list[str]:
    """What differs, in words; empty if nothing does."""
    told = []
    for topic, wanted in expected.items():
        if found[topic] != wanted:
            told += [f"{topic}: {difference}" for difference in _differences(found[topic], wanted)]
    return told


def _differences(found: Any, wanted: Any) -> list[str]:
    if isinstance(wanted, Counter):
        return _of_multisets(found, wanted)
    keys = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
    return [_of_one(key, found.get(key), wanted.get(key)) for key in keys[:4]] + _more(keys)


def _of_multisets(found: Counter[Any], wanted: Counter[Any]) -> list[str]:
    missing, extra = wanted - found, found - wanted
    told = [f"{missing.total()} missing, {extra.total()} too many"]
    told += [f"missing: {row}" for row in list(missing)[:4]]
    return told + [f"too many: {row} (there {found[row]} times)" for row in list(extra)[:4]]


def _of_one(key: Any, found: Any, wanted: Any) -> str:
    if isinstance(found, list) and isinstance(wanted, list) and found and wanted and isinstance(wanted[0], tuple):
        same = takewhile(lambda pair: pair[0] == pair[1], zip(found, wanted, strict=False))
        at = sum(1 for _ in same)
        return (
            f"{key}: {len(found)} records, {len(wanted)} expected; they differ from place {at} on: "
            f"{found[at : at + 3]}, expected {wanted[at : at + 3]}"
        )
    return f"{key}: {repr(found)[:300]}, expected {repr(wanted)[:300]}"


def _more(keys: Sequence[Any]) -> list[str]:
    return [f"and {len(keys) - 4} more"] if len(keys) > 4 else []


def is_through(found: Comparable, expected: Comparable) -> bool:
    """Whether the app has taken in all that was sent: nothing that hangs on time is asked."""
    return (
        all(found[name] == expected[name] for name in ("large", "spent-changes", "visits-so-far", "numbers", "places"))
        and not expected["settled"] - found["settled"]
    )
