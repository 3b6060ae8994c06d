"""What must be equal in two data folders of the crash app, and what plain Python makes of its input."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from crash_app import EXPIRES_MS, GRACE_MS, WINDOW_MS, app

from state.keys import split_window_key
from streams.operators.stored import StoredForm
from streams.partitioner import partition_for
from streams.testing.contents import Contents, Row
from streams.testing.crash import Run

Rows = list[Row]


def in_order(rows: Rows) -> Any:
    """Each key's records, in order."""
    found: dict[Any, list[tuple[Any, int]]] = defaultdict(list)
    for row in rows:
        found[row.partition, row.key].append((row.value, row.timestamp))
    return dict(found)


def in_any_order(rows: Rows) -> Any:
    """Which of the records of a window gets which number depends on how writers meet, and so do timestamps."""
    return Counter((row.partition, row.key, tuple(row.value)) for row in rows)


def latest_of_growing(rows: Rows) -> Any:
    """How many results there are depends on commits; each is larger than the one before, the last one is the sum."""
    return {
        key: (found[-1], all(before[0] < after[0] for before, after in pairwise(found)))
        for key, found in in_order(rows).items()
    }


FORMS = {"visit-counts": latest_of_growing, "alerts": in_any_order}
"""How the records of a topic are compared, where it is not `in_order`."""


def comparable(contents: Contents) -> dict[str, Any]:
    """What two runs over one input must agree in."""
    found = {f"topic {name}": FORMS.get(name, in_order)(rows) for name, rows in contents.topics.items()}
    found |= {f"store {name}": entries for name, entries in contents.tables.items()}
    return found | {"consumed": contents.consumed, "positions": contents.positions}


def assert_sound(contents: Contents) -> None:
    """Nothing is left to do, and each store is what its changelog says."""
    assert set(contents.lag.values()) == {0}, contents.lag
    assert contents.tables.keys() == contents.rebuilt.keys()
    assert_equal(contents.tables, contents.rebuilt, "the store", "its changelog")


def assert_same(contents: Contents, undisturbed: Contents) -> None:
    """The proof: after all that happened, what is there is what an undisturbed run leaves."""
    assert_sound(contents)
    assert_equal(comparable(contents), comparable(undisturbed), "this run", "an undisturbed one")


def assert_nothing_wiped(runs: list[Run]) -> None:
    """No store was emptied, and none read more from its changelog than one commit."""
    commits: dict[str, int] = defaultdict(int)
    for run in runs:
        for before, after in pairwise(run.told("checkpoints")):
            for store, offset in after.items():
                commits[store] = max(commits[store], offset - before.get(store, 0))
    for event in [event for run in runs for event in run.told("restoring")]:
        store = f"{event['store']}-{event['partition']}"
        assert event["reason"] is None, event
        assert event["records"] <= commits[store], (event, commits[store])


def assert_equal(found: dict[str, Any], expected: dict[str, Any], ours: str, theirs: str) -> None:
    assert found.keys() == expected.keys()
    differing = [name for name in expected if found[name] != expected[name]]
    shown = "; ".join(f"{name}: {_difference(found[name], expected[name], ours, theirs)}" for name in differing[:3])
    assert not differing, f"{len(differing)} differ: {', '.join(differing)}. {shown}"


def _difference(found: Any, expected: Any, ours: str, theirs: str) -> str:
    if not isinstance(expected, dict):
        return f"{ours} has {found!r}, {theirs} {expected!r}"
    keys = [key for key in {**expected, **found} if found.get(key) != expected.get(key)]
    return ", ".join(
        f"{key!r}: {ours} has {_short(found.get(key))}, {theirs} {_short(expected.get(key))}" for key in keys[:3]
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 160 else f"{text[:70]} ... {text[-70:]}"


# -- the same from the source topics, in plain Python


def recomputed(topics: dict[str, Rows]) -> dict[str, Any]:
    """Outputs and tables, from what is in `sold`, `orders` and `prices`."""
    sold = topics["sold"]
    found = {"large": [Row(0, r.key, r.value.amount, r.timestamp) for r in sold if r.value.amount > 50]}
    found["balance-changes"], found["visit-counts"] = _by_user(sold)
    found["bills"] = _bills(topics["orders"], topics["prices"])
    found["sales-closed"], found["alerts"], live = _windows(sold)
    tables = {
        "balances": {row.key: row.value for row in found["balance-changes"]},
        "visits": {row.key: row.value for row in found["visit-counts"]},
        "prices": {row.key: row.value for row in topics["prices"]},
        **live,
    }
    return {f"topic {name}": FORMS.get(name, in_order)(rows) for name, rows in found.items()} | tables


def results(contents: Contents) -> dict[str, Any]:
    """Outputs and tables as `recomputed` gives them."""
    found = {
        f"topic {name}": FORMS.get(name, in_order)(rows)
        for name, rows in contents.topics.items()
        if name not in ("sold", "orders", "prices")
    }
    tables: dict[str, dict[Any, Any]] = defaultdict(dict)
    for place, entries in contents.tables.items():
        store = app.plan().stores.get(place.partition("/")[2])
        if store is not None:
            form = StoredForm(store)
            for entry, payload in entries.items():
                start, key = split_window_key(entry) if store.windowed else (None, entry)
                name, value = form.keys.decode(key), form.decode(payload)
                if store.name == "sales":
                    value = [value.sales, value.total]
                tables[store.name][name if start is None else (start, name)] = value
    return found | tables


def _by_user(sold: Rows) -> tuple[Rows, Rows]:
    totals: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    times: dict[str, int] = defaultdict(int)
    changes, visits = [], []
    for row in sold:
        totals[row.key] += row.value.amount
        counts[row.key] += 1
        times[row.key] = max(times[row.key], row.timestamp)
        changes.append(Row(0, row.key, totals[row.key], times[row.key]))
        visits.append(Row(0, row.key, counts[row.key], times[row.key]))
    return changes, visits


def _bills(orders: Rows, prices: Rows) -> Rows:
    known: dict[str, int] = {}
    found = []
    for time, key, count, price in sorted(
        [(r.timestamp, r.key, r.value, None) for r in orders] + [(r.timestamp, r.key, None, r.value) for r in prices],
        key=lambda row: row[0],
    ):
        if price is not None:
            known[key] = price
        elif key in known:
            found.append(Row(0, key, [count, known[key]], time))
    return found


def _windows(sold: Rows) -> tuple[Rows, Rows, dict[str, Any]]:
    """What has closed, each window's numbers, what of both tables is alive. Time is that of the slowest writer."""
    writers = [[r.timestamp for r in sold if r.partition == partition] for partition in range(3)]
    slowest = min(max(times) for times in writers if times)
    groups: dict[tuple[int, str], list[Row]] = defaultdict(list)
    times: dict[int, int] = defaultdict(int)
    for row in sold:
        groups[row.timestamp // WINDOW_MS * WINDOW_MS, row.value.shop].append(row)
        at = partition_for(row.value.shop.encode(), 3)
        times[at] = max(times[at], row.timestamp)
    closed, numbers, sales, hot = [], [], {}, {}
    for (start, shop), rows in sorted(groups.items()):
        time = min(slowest, times[partition_for(shop.encode(), 3)])
        total = sum(row.value.amount for row in rows)
        numbers += [Row(0, shop, [start, n + 1], row.timestamp) for n, row in enumerate(rows)]
        if start + WINDOW_MS + GRACE_MS <= time:
            closed.append(Row(0, shop, [start, len(rows), total], max(row.timestamp for row in rows)))
        else:
            sales[start, shop] = [len(rows), total]
        if start + EXPIRES_MS > time:
            hot[start, shop] = len(rows)
    return closed, numbers, {"sales": sales, "hot": hot}
