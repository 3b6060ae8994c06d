"""process: records, stores, schedules and what is handed on, on the real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.errors import TopologyError, UserCodeError
from streams.processing import ProcessorRecord
from streams.testing.driver import Driver


class Processor:
    """What most tests begin with: `ctx`, and records go on as they are."""

    def init(self, ctx: Any) -> None:
        self.ctx = ctx

    def process(self, record: ProcessorRecord) -> None:
        self.ctx.forward(record)


def app_of(processor: Any, *, stores: list[Any] | None = None, **store: Any) -> streams.App:
    """A topic "in" of texts and numbers through a processor with a store "kept", to "out"."""
    app = streams.App("shop")
    kept = app.store("kept", key_type=str, value_type=int, **store)
    stream = app.topic("in", key_type=str, value_type=int).stream()
    behind = stream.process(processor, stores=[kept] if stores is None else stores, key_type=str, value_type=int)
    behind.to(app.topic("out", key_type=str, value_type=int))
    return app


def rows(driver: Driver, topic: str = "out") -> list[tuple[Any, Any, int]]:
    return [(record.key, record.value, record.timestamp) for record in driver.read(topic)]


def run(app: streams.App, *records: tuple[Any, ...]) -> list[tuple[Any, Any, int]]:
    with Driver(app) as driver:
        driver.pipe("in", list(records))
        return rows(driver)


# -- records


def test_none_one_and_many_records_under_any_key() -> None:
    class Repeat(Processor):
        def process(self, record: ProcessorRecord) -> None:
            for n in range(record.value):
                self.ctx.forward(record.replace(key=f"{record.key}{n}", timestamp=record.timestamp + n))

    assert run(app_of(Repeat), ("a", 0, 1), ("b", 2, 5), ("c", 1, 7)) == [("b0", 2, 5), ("b1", 2, 6), ("c0", 1, 7)]


def test_what_is_not_named_is_of_the_record_at_hand() -> None:
    class Named(Processor):
        def process(self, record: ProcessorRecord) -> None:
            self.ctx.forward(key="x")
            self.ctx.forward(value=None, timestamp=9)
            self.ctx.forward(headers=[*record.headers, ("more", b"2")])
            self.ctx.forward(record.replace(headers=()), value=8)

    with Driver(app_of(Named)) as driver:
        driver.pipe("in", key="a", value=1, timestamp=5, headers=[("h", b"1")])
        found = [(r.key, r.value, r.timestamp, dict(r.headers)) for r in driver.read("out")]
    assert found == [
        *[("x", 1, 5, {"h": b"1"}), ("a", None, 9, {"h": b"1"}), ("a", 1, 5, {"h": b"1", "more": b"2"})],
        ("a", 8, 5, {}),
    ]


def test_to_one_child_by_its_name_and_in_order() -> None:
    class Sort(Processor):
        def process(self, record: ProcessorRecord) -> None:
            self.ctx.forward(record, to="large" if record.value > 9 else "small")
            self.ctx.forward(record.replace(value=0))

    app = streams.App("shop")
    sorted_ = app.topic("in", key_type=str, value_type=int).stream().process(Sort, key_type=str, value_type=int)
    small, large = sorted_.map_values(lambda v: -v, name="small"), sorted_.filter(lambda v: True, name="large")
    small.merge(large).to("out")
    assert run(app, ("a", 3, 1), ("b", 30, 2)) == [
        *[("a", -3, 1), ("a", 0, 1), ("a", 0, 1)],
        *[("b", 30, 2), ("b", 0, 2), ("b", 0, 2)],
    ]


def test_a_child_that_is_not_there_names_those_that_are() -> None:
    class Lost(Processor):
        def process(self, record: ProcessorRecord) -> None:
            self.ctx.forward(record, to="ot")

    with Driver(app_of(Lost)) as driver, pytest.raises(TopologyError, match=r"called 'ot'.*There is in-to-out") as told:
        driver.pipe("in", key="a", value=1)
    assert "test_operator_process.py" in str(told.value)


def test_what_the_context_tells() -> None:
    seen = []

    class Curious(Processor):
        def process(self, record: ProcessorRecord) -> None:
            ctx = self.ctx
            seen.append((ctx.topic, ctx.partition, ctx.offset, ctx.timestamp, ctx.stream_time, ctx.headers))
            seen.append((ctx.now_ms, ctx.task, ctx.task_partition, ctx.app_id, ctx.step))

    with Driver(app_of(Curious)) as driver:
        driver.advance("2s")
        driver.pipe("in", key="a", value=1, timestamp=50)
        driver.pipe("in", key="a", value=1, timestamp=40, headers=[("h", b"1")])
    assert seen[0] == ("in", 0, 0, 50, 50, ())
    assert seen[2] == ("in", 0, 1, 40, 50, [("h", b"1")])
    assert seen[1] == (2_000, "in-0", 0, "shop", "in-process-Curious")


# -- stores


def test_what_a_store_can_do() -> None:
    found: dict[str, Any] = {}

    class Uses(Processor):
        def process(self, record: ProcessorRecord) -> None:
            kept = self.ctx.store("kept")
            kept.put_all([("b", 2), ("a", 1), ("ba", 3)])
            found["absent"] = kept.put_if_absent("a", 9), kept.put_if_absent("c", 4)
            found["delete"] = kept.delete("c"), kept.delete("zz"), kept.get("c")
            found["in"] = "a" in kept, "c" in kept
            found["range"] = list(kept.range("a", "b")), list(kept.range("b")), list(kept.range(None, "b"))
            found["reverse"] = list(kept.range("a", "ba", reverse=True)), list(kept.all(reverse=True))
            found["prefix"] = list(kept.prefix("b")), list(kept.prefix("b", reverse=True))
            found["all"] = list(kept.all())
            self.ctx.forward(record)

    app = app_of(Uses)
    with Driver(app) as driver:
        for commit in (False, True):  # what is written and what is not yet
            driver.pipe("in", key="a", value=1, commit=commit)
            assert found == {
                "absent": (1, None),
                "delete": (4, None, None),
                "in": (True, False),
                "range": ([("a", 1)], [("b", 2), ("ba", 3)], [("a", 1)]),
                "reverse": ([("b", 2), ("a", 1)], [("ba", 3), ("b", 2), ("a", 1)]),
                "prefix": ([("b", 2), ("ba", 3)], [("ba", 3), ("b", 2)]),
                "all": [("a", 1), ("b", 2), ("ba", 3)],
            }
        assert driver.table("kept").get("ba") == 3


def test_an_entry_goes_when_its_time_to_live_is_over() -> None:
    class Last(Processor):
        def process(self, record: ProcessorRecord) -> None:
            kept = self.ctx.store("kept")
            self.ctx.forward(record, value=kept.get("a"))
            kept.put(record.key, record.value)

    app = app_of(Last, ttl="10ms")
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 5), ("b", 2, 14), ("b", 3, 15)])
        driver.restart()
        driver.pipe("in", [("a", 4, 16), ("b", 5, 30)])
        assert [record.value for record in driver.read("out")] == [None, 1, None, None, None]


def test_windows_by_start_until_their_retention_is_over() -> None:
    found: list[Any] = []

    class Visits(Processor):
        def process(self, record: ProcessorRecord) -> None:
            visits = self.ctx.store("kept")
            found.append(visits.put(record.key, record.value, record.timestamp))
            found.append(visits.fetch("a", 0, 100))
            found.append(visits.fetch("a", 10, 20, reverse=True))
            found.append(list(visits.all()))

    app = app_of(Visits, kind="window", retention="20ms")
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 5), ("b", 2, 15), ("a", 3, 15), ("a", 4, 25), ("a", 5, 5), ("a", None, 15)])
        dropped = driver.dropped
        driver.restart()
        driver.pipe("in", key="a", value=6, timestamp=5)
    assert found[0::4] == [True, True, True, True, False, True, False]
    assert found[1::4][:4] == [[(5, 1)], [(5, 1)], [(5, 1), (15, 3)], [(15, 3), (25, 4)]]
    assert found[1::4][4:] == [[(15, 3), (25, 4)], [(25, 4)], [(25, 4)]]
    assert found[2::4][3] == [(15, 3)]
    assert found[3::4][3] == [("a", 15, 3), ("b", 15, 2), ("a", 25, 4)]
    assert dropped == {("in-process-Visits", "late"): 1}


def test_sessions_by_end_until_their_retention_is_over() -> None:
    found: list[Any] = []

    class Visits(Processor):
        """Sessions of a gap of 5 ms, as the operator has them."""

        def process(self, record: ProcessorRecord) -> None:
            visits, time = self.ctx.store("kept"), record.timestamp
            met = visits.find(record.key, time - 5, time + 5)
            start, end = min([time, *(m[0] for m in met)]), max([time, *(m[1] for m in met)])
            for one in met:
                visits.delete(record.key, *one[:2])
            found.append(visits.put(record.key, record.value + sum(m[2] for m in met), start, end))
            found.append((visits.get("a", 5, 9), visits.fetch("a"), visits.fetch("a", reverse=True)[:1]))
            found.append(list(visits.all()))

    app = app_of(Visits, kind="session", retention="20ms")
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 5), ("a", 2, 9), ("b", 3, 9), ("a", 4, 20)])
        driver.restart()
        driver.pipe("in", [("a", 5, 15), ("a", 6, 41), ("a", 7, 21)])
        assert driver.dropped == {("in-process-Visits", "late"): 1}
    assert found[0::3] == [True] * 6 + [False]
    assert found[1] == (None, [(5, 5, 1)], [(5, 5, 1)])
    assert found[10] == (3, [(5, 9, 3), (20, 20, 4)], [(20, 20, 4)])
    assert found[11] == [("a", 5, 9, 3), ("b", 9, 9, 3), ("a", 20, 20, 4)]
    assert found[13] == (3, [(5, 9, 3), (15, 20, 9)], [(15, 20, 9)])
    assert found[17] == [("a", 41, 41, 6)]


def test_a_versioned_table_is_asked_as_of_a_time() -> None:
    class Back(Processor):
        def process(self, record: ProcessorRecord) -> None:
            prices = self.ctx.store("prices")
            self.ctx.forward(record, value=[prices.get_at("x", time) for time in (5, 15)] + [prices.get("x")])

    app = streams.App("shop")
    prices = app.topic("prices", key_type=str, value_type=int).table(name="prices", history="1h")
    behind = app.topic("in", key_type=str, value_type=int).stream().process(Back, stores=[prices], key_type=str)
    behind.to("out")
    with Driver(app) as driver:
        driver.pipe("prices", [("x", 1, 1), ("x", 2, 10), ("x", 3, 20)])
        driver.pipe("in", key="a", value=0, timestamp=30)
        assert [record.value for record in driver.read("out")] == [[1, 2, 3]]


def test_two_processors_share_a_store_and_run_in_one_task() -> None:
    class Put(Processor):
        def process(self, record: ProcessorRecord) -> None:
            self.ctx.store("kept").put(record.key, record.value)

    class Get(Processor):
        def process(self, record: ProcessorRecord) -> None:
            self.ctx.forward(record.replace(value=self.ctx.store("kept").get(record.key)))

    app = streams.App("shop")
    kept = app.store("kept", key_type=str, value_type=int)
    app.topic("puts", key_type=str, value_type=int).stream().process(Put, stores=[kept])
    gets = app.topic("in", key_type=str, value_type=int).stream().process(Get, stores=["kept"])
    gets.to(app.topic("out", key_type=str, value_type=int))
    assert [sub.id for sub in app.plan().subtopologies] == ["in"]
    with Driver(app) as driver:
        driver.pipe_many({"puts": [("a", 1, 2), ("a", 2, 4)], "in": [("a", 0, 1), ("a", 0, 3), ("a", 0, 5)]})
        assert rows(driver) == [("a", None, 1), ("a", 1, 3), ("a", 2, 5)]


class Adds(Processor):
    """One to the store, and on, for as often as the value says."""

    def process(self, record: ProcessorRecord) -> None:
        kept = self.ctx.store("kept")
        for _ in range(record.value):
            kept.put(record.key, (kept.get(record.key) or 0) + 1)
            self.ctx.forward(record)
        if record.key == "bad":
            raise ValueError("bad")


class Doubles(Processor):
    """Says what the store has, and doubles it."""

    def process(self, record: ProcessorRecord) -> None:
        kept = self.ctx.store("kept")
        self.ctx.forward(record, value=kept.get(record.key))
        kept.put(record.key, 2 * kept.get(record.key))
        if record.key == "worse":
            raise KeyError("worse")


def sharing(first: Any = None, second: Any = None) -> streams.App:
    app = streams.App("shop")
    kept = app.store("kept", key_type=str, value_type=int)
    given: dict[str, Any] = {"stores": [kept], "key_type": str, "value_type": int}
    stream = app.topic("in", key_type=str, value_type=int).stream().process(Adds, **given, on_error=first)
    stream = stream.map_values(lambda v: v, value_type=int).process(Doubles, **given, on_error=second)
    stream.to(app.topic("out", key_type=str, value_type=int))
    return app


def test_a_step_behind_that_shares_a_store_is_called_within_forward() -> None:
    assert [value for _, value, _ in run(sharing(), ("a", 3, 1), ("a", 1, 2))] == [1, 3, 7, 15]


def test_each_of_the_two_has_its_own_policy() -> None:
    app = sharing(streams.skip(), streams.skip())
    with Driver(app) as driver:
        driver.pipe("in", [("bad", 1, 1), ("worse", 1, 2), ("bad", 1, 3)])
        assert driver.dropped == {("in-process-Adds", "skip"): 2, ("in-process-Doubles", "skip"): 1}
    with Driver(sharing(streams.skip())) as driver, pytest.raises(UserCodeError, match=r"in-process-Doubles, .*worse"):
        driver.pipe("in", key="worse", value=1)
    waits = sharing(None, streams.retry(1))
    with Driver(waits) as driver, pytest.raises(TopologyError, match="Doubles would wait in the middle of a call"):
        driver.pipe("in", key="worse", value=1)


def test_a_processor_brings_its_own_stores() -> None:
    class Own(Processor):
        stores = (streams.Store("own", key_type=str, value_type=int),)

        def process(self, record: ProcessorRecord) -> None:
            own = self.ctx.store("own")
            own.put("n", (own.get("n") or 0) + 1)
            self.ctx.forward(record.replace(value=own.get("n")))

    assert run(app_of(Own, stores=[]), ("a", 7, 1), ("b", 7, 2)) == [("a", 1, 1), ("b", 2, 2)]


def test_a_table_can_be_read_and_not_written() -> None:
    class Look(Processor):
        def process(self, record: ProcessorRecord) -> None:
            table = self.ctx.store("planes")
            self.ctx.forward(record.replace(value=table.get(record.key)))
            table.put("x", 1)

    app = streams.App("shop")
    planes = app.topic("planes", key_type=str, value_type=int).table()
    app.topic("in", key_type=str, value_type=int).stream().process(Look, stores=[planes]).to("out")
    with Driver(app) as driver, pytest.raises(streams.errors.StreamsError, match="a processor may read it"):
        driver.pipe("planes", key="a", value=7, timestamp=0)
        driver.pipe("in", key="a", value=1, timestamp=1)


def test_a_store_that_was_not_given_is_refused_at_the_users_line() -> None:
    class Greedy(Processor):
        def process(self, record: ProcessorRecord) -> None:
            self.ctx.store("kept")

    with Driver(app_of(Greedy, stores=[])) as driver, pytest.raises(TopologyError, match="was not given it") as told:
        driver.pipe("in", key="a", value=1)
    assert "test_operator_process.py" in str(told.value)


# -- what goes wrong


class Fragile(Processor):
    """Fails at a value of 0, having put it and handed it on."""

    def process(self, record: ProcessorRecord) -> None:
        kept = self.ctx.store("kept")
        kept.put(record.key, (kept.get(record.key) or 0) + 1)
        self.ctx.forward(record.replace(value=kept.get(record.key)))
        1 / record.value


def fragile_app(policy: Any) -> streams.App:
    app = streams.App("shop")
    kept = app.store("kept", key_type=str, value_type=int)
    stream = app.topic("in", key_type=str, value_type=int).stream()
    stream.process(Fragile, stores=[kept], on_error=policy).to(app.topic("out", key_type=str, value_type=int))
    return app


def test_a_call_that_fails_has_done_nothing() -> None:
    app = fragile_app(streams.skip())
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 1), ("a", 0, 2), ("a", 1, 3)])
        assert rows(driver) == [("a", 1, 1), ("a", 2, 3)]
        assert driver.table("kept").get("a") == 2
        assert driver.dropped == {("in-process-Fragile", "skip"): 1}


def test_it_is_tried_again_and_the_records_around_it_once() -> None:
    app = fragile_app(streams.retry(2, backoff="1s", then=streams.dead_letter()))
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 1), ("a", 0, 2), ("a", 1, 3)])
        assert rows(driver) == [("a", 1, 1), ("a", 2, 3)]
        assert driver.clock.now_ms >= 2_000
        (letter,) = driver.read("shop-dead-letter")
        assert (letter.key, letter.value) == (b"a", b"0")


def test_an_error_names_step_record_and_line() -> None:
    app = fragile_app(None)
    with Driver(app) as driver, pytest.raises(UserCodeError) as told:
        driver.pipe("in", key="a", value=0)
    assert "in-process-Fragile, in-0 @ 0: ZeroDivisionError" in str(told.value)
    assert "test_operator_process.py" in str(told.value)


def test_a_scheduled_call_that_fails_is_left_out_by_the_same_policy() -> None:
    class Timed(Processor):
        def init(self, ctx: Any) -> None:
            super().init(ctx)
            ctx.schedule("10ms", "stream", self.tick)

        def tick(self, timestamp: int) -> None:
            self.ctx.forward(key="tick", value=1)
            if timestamp < 20:
                raise ValueError("too early")

    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream()
    stream.process(Timed, on_error=streams.skip()).to("out")
    assert run(app, ("a", 1, 1), ("a", 2, 10), ("a", 3, 25)) == [
        *[("a", 1, 1), ("a", 2, 10), ("a", 3, 25), ("tick", 1, 25)]
    ]


def test_an_error_in_init_names_the_step() -> None:
    class Broken(Processor):
        def init(self, ctx: Any) -> None:
            raise ValueError("no")

    with pytest.raises(UserCodeError, match="in-process-Broken: ValueError: no"), Driver(app_of(Broken)):
        pass


# -- schedules


class Ticks(Processor):
    kind: Any = "stream"

    def init(self, ctx: Any) -> None:
        super().init(ctx)
        self.handle = ctx.schedule("10ms", self.kind, self.tick)

    def tick(self, timestamp: int) -> None:
        ctx = self.ctx
        assert (ctx.topic, ctx.partition, ctx.offset, ctx.headers) == (None, None, None, ())
        ctx.forward(key="tick", value=timestamp)
        if timestamp >= 1_000:
            self.handle.cancel()


def test_stream_time_goes_on_by_every_record_of_the_task() -> None:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream()
    stream.filter(lambda v: v > 0).process(Ticks, key_type=str, value_type=int).to("out")
    assert run(app, ("a", 1, 3), ("b", 0, 9), ("c", 0, 35), ("d", 2, 12), ("e", 0, 1_000), ("f", 0, 2_000)) == [
        *[("a", 1, 3), ("tick", 3, 3), ("tick", 35, 35), ("d", 2, 12), ("tick", 1_000, 1_000)]
    ]


def test_a_restart_goes_on_exactly() -> None:
    app = app_of(Ticks)
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 3), ("a", 1, 12)])
        driver.restart()
        driver.pipe("in", [("a", 2, 13), ("a", 2, 20)])
        driver.crash()
        driver.restart()
        driver.pipe("in", [("a", 3, 1_000), ("a", 3, 1_010)])
        driver.restart()
        driver.pipe("in", key="a", value=4, timestamp=5_000)
        assert [row for row in rows(driver) if row[0] == "tick"] == [
            ("tick", time, time) for time in (3, 12, 20, 1_000)
        ]


def test_on_the_wall_by_the_workers_clock() -> None:
    class OnTheWall(Ticks):
        kind = "wall"

    app = app_of(OnTheWall)
    with Driver(app) as driver:
        driver.pipe("in", key="a", value=1, timestamp=70)
        driver.advance(0.009)
        assert rows(driver) == [("a", 1, 70)]
        driver.advance(0.001)
        driver.advance(0.025)
        driver.restart()
        driver.advance(0.004)
        assert rows(driver) == [("tick", 10, 10), ("tick", 35, 35)]
        driver.advance(0.002)
        driver.advance("1s")
        driver.advance("1s")
        assert rows(driver) == [("tick", 41, 41), ("tick", 1_041, 1_041)]


def test_a_commit_is_asked_for_until_it_has_come() -> None:
    class Asks(Processor):
        def process(self, record: ProcessorRecord) -> None:
            self.ctx.commit()

    with Driver(app_of(Asks)) as driver:
        driver.pipe("in", key="a", value=1, commit=False)
        (task,) = driver._alive().assembly.tasks
        assert task.context.commit_asked
        driver.commit()
        assert not task.context.commit_asked


# -- what is refused when the app is built


class NoProcess:
    pass


class Waits:
    async def process(self, record: Any) -> None: ...


class TooMany:
    def process(self, key: Any, value: Any) -> None: ...


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda s, a: s.process(NoProcess), "NoProcess .* has no method process"),
        (lambda s, a: s.process(Processor()), "one object for all tasks; give the class"),
        (lambda s, a: s.process(3), "3 is no processor"),
        (lambda s, a: s.process(Waits), "is a coroutine function, and a processor does not wait"),
        (lambda s, a: s.process(TooMany), r"TooMany.process .* is called as process\(record\)"),
        (lambda s, a: s.process(Processor, stores=["kep"]), "no store 'kep'. Did you mean 'kept'"),
        (lambda s, a: s.process(Processor, stores=[3]), "takes what app.store"),
        (lambda s, a: a.store("kept"), "two stores are called 'kept'"),
        (lambda s, a: a.store("x", kind="windows"), "kind is one of key_value, window, session"),
        (lambda s, a: a.store("x", kind="window"), "needs retention="),
        (lambda s, a: a.store("x", retention="1d"), "are for windows and sessions"),
        (lambda s, a: (s.process(Processor), s.process(Processor)), "two steps are called 'in-process-Processor'"),
    ],
)
def test_refused_when_built(build: Callable[..., Any], message: str) -> None:
    app = streams.App("shop")
    app.store("kept", key_type=str)
    stream = app.topic("in", key_type=str, value_type=int).stream()
    with pytest.raises(TopologyError, match=message) as told:
        build(stream, app)
    assert "test_operator_process.py" in str(told.value)


def test_grouping_behind_it_goes_through_a_repartition() -> None:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream()
    stream.process(Processor, key_type=str).group_by_key(name="by-key").count(name="counts")
    assert "shop-by-key-repartition" in app.plan().topics


def test_stream_time_in_a_scheduled_call_is_that_of_the_record_that_made_it_due() -> None:
    class Timed(Processor):
        def init(self, ctx: Any) -> None:
            super().init(ctx)
            ctx.schedule("7ms", "stream", self.tick)
            ctx.schedule("20ms", "wall", self.tick)

        def tick(self, timestamp: int) -> None:
            self.ctx.forward(key="tick", value=self.ctx.stream_time, timestamp=timestamp)

    with Driver(app_of(Timed)) as driver:
        driver.advance(wall="20ms")
        driver.pipe("in", [("a", 1, 15), ("a", 2, 22), ("a", 3, 20)])
        driver.advance(wall="20ms")
        assert [row for row in rows(driver) if row[0] == "tick"] == [
            *[("tick", None, 20), ("tick", 15, 15), ("tick", 22, 22), ("tick", 22, 40)]
        ]
