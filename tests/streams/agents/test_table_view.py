"""The cache in front of a task's store: bulk use by pipelines, memory, order, what is written when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.api import Checkpoint, StoreSpec
from state.backends.memory import MemoryBackend
from state.task_stores import TaskStores
from streams.errors import DecodeError
from streams.graph.definitions import StoreDef, TopicDef
from streams.models import Record
from streams.operators.table_view import TableView


class Plane(Record):
    seats: int
    names: list[str] = []  # noqa: RUF012 - msgspec copies it


class Context:
    """As much of a task as a view needs."""

    def __init__(self, *definitions: StoreDef) -> None:
        self.changelog: list[tuple[bytes, bytes | None, int]] = []
        self.reads = 0
        specs = [StoreSpec(d.name, kind="window" if d.windowed else "key_value") for d in definitions]
        self.stores = TaskStores(MemoryBackend(), specs, self._log)

    def _log(self, store: str, keys: list[bytes], values: list[bytes | None], timestamps: list[int]) -> None:
        self.changelog += zip(keys, values, timestamps, strict=True)

    def commit(self) -> None:
        self.stores.begin_commit()
        for _ in self.stores.finish_commit({name: Checkpoint("id", 1) for name in self.stores.specs}):
            pass


def view_of(value_type: Any = int, cache_bytes: int = 1 << 20, **definition: Any) -> tuple[TableView, Context]:
    made = StoreDef(name="t", changelog="t-changelog", key_type=str, value_type=value_type, **definition)
    context = Context(made)
    return TableView(made, context, cache_bytes=cache_bytes), context  # type: ignore[arg-type]


def test_bulk_reads_and_writes() -> None:
    view, context = view_of()
    view.put_many([b"a", b"b", b"a"], [1, 2, 3], [10, 20, 30])
    assert view.get_many(["b", "x", None, "a", "b"]) == [2, None, None, 3, 2]
    assert view.get_many(key_bytes=[b"a", None]) == [3, None]
    view.put_many([b"b"], [None], [40])
    assert view.get_many(["a", "b"]) == [3, None]
    list(view.save())
    context.commit()
    assert context.changelog == [(b"a", b"\x03", 30), (b"b", None, 40)]
    assert view.get_many([]) == []


def test_bulk_reads_share_what_they_decode_and_get_does_not() -> None:
    view, _ = view_of(Plane)
    view.put("a", Plane(5, ["x"]), 0)
    first, second = view.get_many(["a", "a"])
    assert first is second
    mine = view.get("a")
    mine.names.append("y")
    assert view.get("a") == Plane(5, ["x"])


def test_a_topics_table_holds_the_topics_values() -> None:
    topic = TopicDef(name="planes", key_type=str, value_type=Plane)
    view, context = view_of(Plane, source_topic=topic)
    context.stores.put("t", b"a", b'{"seats": 7, "more": 1}', 5)
    assert view.get_many(["a"]) == [Plane(7)]
    view.put("b", Plane(8), 6)
    list(view.save())
    assert context.stores.get("t", b"b") == (b'{"seats":8,"names":[]}', 6)


def test_what_is_not_of_the_type_any_more() -> None:
    view, context = view_of(int)
    context.stores.put("t", b"a", b"\xa1x", 5)
    with pytest.raises(DecodeError, match=r"table 't' holds .*streams reset APP --store t"):
        view.get("a")


def test_memory_is_bounded_and_nothing_is_lost() -> None:
    view, context = view_of(cache_bytes=100_000)
    for n in range(2_000):
        view.put(f"key-{n}", n, n)
        view.trim()
    assert len(view._cache) < 400
    assert view.get_many([f"key-{n}" for n in range(2_000)]) == list(range(2_000))
    list(view.save())
    assert len(view._cache) < 400
    context.commit()
    assert len(context.changelog) == 2_000


@pytest.mark.parametrize(("kind", "value"), [(str, "x" * 5_000), (bytes, b"x" * 5_000), (list[str], ["x" * 5_000])])
@pytest.mark.parametrize("many", [False, True])
def test_large_values_fill_the_memory_sooner_though_none_was_saved_yet(kind: Any, value: Any, many: bool) -> None:
    view, _ = view_of(kind, cache_bytes=100_000)
    for n in range(100):
        if many:
            view.put_many([b"key-%d" % n], [value], [n])
        else:
            view.put(f"key-{n}", value, n)
        view.trim()
    assert len(view._cache) < 20
    assert view.get_many([f"key-{n}" for n in range(100)]) == [value] * 100


def test_an_entry_is_read_from_the_store_once(monkeypatch: pytest.MonkeyPatch) -> None:
    view, context = view_of()
    asked: list[bytes] = []
    get = context.stores.get
    monkeypatch.setattr(context.stores, "get", lambda store, key: asked.append(key) or get(store, key))
    assert [view.get("a"), view.get("a"), view.get("a", 7)] == [None, None, 7]
    assert asked == [b"a"]
    view.forget([b"a"])
    context.stores.put("t", b"a", b"\x05", 0)
    assert view.get("a") == 5


def test_a_window_nothing_was_ever_written_to_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    view, context = view_of(window_size_ms=10)
    monkeypatch.setattr(context.stores, "get", lambda *_: pytest.fail("looked up"))
    assert view.read(view.entry_at("a", 0), None) is None
    view.write(view.entry_at("a", 0), 5, 3, None)
    assert view.read(view.entry_at("a", 0), None) == 5


def test_windows_go_when_the_slowest_step_has_left_them() -> None:
    view, context = view_of(window_size_ms=10, retention_ms=10)
    for start in (0, 10, 20):
        view.write(view.entry_at("a", start), start, start, None)
    view.observe("fast", 100)
    view.observe("slow", 15)
    list(view.save())
    assert view.starts() == [10, 20]
    view.observe("slow", 20)
    list(view.save())
    context.commit()
    assert view.starts() == [20]
    assert list(view.window(20)) == [("a", 20)]
    again = TableView(view.definition, context)  # type: ignore[arg-type]
    again.observe("slow", 30)
    list(again.save())
    assert again.starts() == []


def test_range_is_in_the_order_of_bytes() -> None:
    view, _ = view_of()
    for key in ("b", "a", "ü", "c"):
        view.put(key, 1, 0)
    assert [key for key, _ in view.items()] == ["a", "b", "c", "ü"]
    assert [key for key, _ in view.range("b", "ü")] == ["b", "c"]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc"), st.integers(0, 9)),
        st.tuples(st.just("delete"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.sampled_from(["undo", "save", "commit", "read"]), st.just("a"), st.just(0)),
    ),
    max_size=40,
)


@given(steps)
def test_like_a_dict(script: list[tuple[str, str, int]]) -> None:
    view, context = view_of(cache_bytes=1_000)
    model: dict[str, int] = {}
    undo: list[Any] = []
    before: dict[str, int] = {}
    for what, key, value in script:
        if what == "put":
            view.put(key, value, 0, undo)
            model[key] = value
        elif what == "delete":
            view.put(key, None, 0, undo)
            model.pop(key, None)
        elif what == "undo":
            for changed, entry, old, timestamp, new in reversed(undo):
                changed.undo(entry, old, timestamp, new)
            undo.clear()
            model = dict(before)
        else:
            undo.clear()
            before = dict(model)
            if what != "read":
                list(view.save())
            if what == "commit":
                context.commit()
            assert view.get_many(list("abc")) == [model.get(key) for key in "abc"]
        assert [view.get(key) for key in "abc"] == [model.get(key) for key in "abc"]
        assert dict(view.items()) == model
