"""join by foreign key, the left side again: answers become rows, unless they are stale; keys and values of all kinds.

What is told in the end is shown in test_table_joins_model.py and tests/golden/joins.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import streams
from streams import Windowed, policies
from streams.errors import DecodeError, StreamsError
from streams.operators.foreign_key_joins.foreign_keys import (
    NO_HASH,
    VERSION,
    Answer,
    encode,
    fingerprint_for,
    read_answer,
)
from streams.testing import Driver
from tests.streams.operators.foreign_key_joins.orders_and_people import Order, app_with, rows


@pytest.mark.parametrize(
    ("joiner", "value"),
    [
        (lambda order, name: f"{order.n}{name}", "7Ann"),
        (lambda key, order, name: f"{key}{order.n}{name}", "o17Ann"),
        (lambda order, name, ctx: f"{ctx.timestamp}{name}", "5Ann"),
    ],
)
def test_joiners(joiner: Any, value: str) -> None:
    with Driver(app_with(joiner=joiner)) as driver:
        driver.pipe("people", key="ann", value="Ann", timestamp=5, headers=[("no", b"1")])
        driver.pipe("orders", key="o1", value=Order("ann", 7), timestamp=3, headers=[("h", b"1")])
        assert driver.read("out") == [("o1", value, 5, (("h", b"1"),))]


def test_the_table_is_kept_under_its_name_or_the_store_s() -> None:
    for options, name in (({}, "named"), ({"store": "kept"}, "kept")):
        with Driver(app_with(**options)) as driver:
            driver.pipe("people", key="ann", value="Ann", timestamp=5)
            driver.pipe("orders", key="o1", value=Order("ann", 7), timestamp=3)
            assert driver.table(name).get("o1") == "7:Ann"


def test_a_joiner_that_raises_leaves_no_row() -> None:
    def joiner(order: Order, name: str) -> str:
        return f"{name}{6 // order.n}"

    with Driver(app_with(joiner=joiner, on_error=policies.skip())) as driver:
        driver.pipe("people", key="ann", value="Ann", timestamp=5)
        for n in (3, 0, 2):
            driver.pipe("orders", key="o1", value=Order("ann", n), timestamp=n)
        assert rows(driver) == [("o1", "Ann2", 5), ("o1", None, 5), ("o1", "Ann3", 5)]
        assert driver.dropped == {("named", "skip"): 1}


def test_a_value_that_the_table_does_not_take_is_told_at_the_record() -> None:
    with Driver(app_with(joiner=lambda order, name: 5)) as driver:
        driver.pipe("people", key="ann", value="Ann", timestamp=5)
        with pytest.raises(StreamsError, match="named"):
            driver.pipe("orders", key="o1", value=Order("ann"), timestamp=3)


# -- answers


def answered(app: streams.App, *answers: Answer, key: str = "o1") -> tuple[list[tuple[Any, ...]], dict[Any, int]]:
    """What comes of answers that come when o1 is Order("ann", 7)."""
    with Driver(app) as driver:
        driver.pipe("orders", key="o1", value=Order("ann", 7), timestamp=3)
        for answer in answers:
            driver.pipe("shop-named-answer-repartition", key=key, value=encode(answer), timestamp=9)
        return rows(driver), driver.dropped


RIGHT = b"Ann"
HASH = fingerprint_for(Order)(Order("ann", 7))


def test_an_answer_counts_if_the_value_is_still_the_one_that_asked() -> None:
    assert answered(app_with(), Answer(VERSION, 0, HASH, RIGHT)) == ([("o1", "7:Ann", 9)], {})


@pytest.mark.parametrize("hash_", [NO_HASH, fingerprint_for(Order)(Order("ann", 8))])
def test_a_stale_answer_is_dropped_and_counted(hash_: bytes) -> None:
    assert answered(app_with(), Answer(VERSION, 0, hash_, RIGHT)) == ([], {("named", "stale"): 1})


def test_an_answer_to_a_value_that_was_changed_in_the_same_batch_brings_it_along() -> None:
    before = msgspec.msgpack.encode(Order("ann", 6))
    answer = Answer(VERSION, 0, HASH, RIGHT, True, before)
    assert answered(app_with(), answer, Answer(VERSION, 0, HASH, RIGHT, True, None))[0] == [
        ("o1", "6:Ann", 9),
        ("o1", None, 9),
    ]


def test_an_answer_of_a_newer_version_stops_the_app() -> None:
    with pytest.raises(StreamsError, match="has version 9; this is version 0"):
        answered(app_with(), Answer(9, 0, HASH, RIGHT))
    with pytest.raises(DecodeError, match="update this one"):
        read_answer(encode(Answer(9, 0, HASH, RIGHT)))


# -- more than text and numbers


def test_keys_of_windows_on_the_left() -> None:
    app = streams.App("shop")
    clicks = app.topic("clicks", key_type=str, value_type=str).stream()
    hourly = clicks.group_by_key().windowed_by(streams.TumblingWindow("10ms")).reduce(lambda a, b: b, name="hourly")
    pages = app.topic("pages", key_type=str, value_type=str).table()
    named = hourly.join(pages, lambda a, b: a + b, foreign_key=lambda page: page, name="named", value_type=str)
    named.to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe("clicks", key="ann", value="home", timestamp=3)
        driver.pipe("pages", key="home", value="!", timestamp=4)
        driver.pipe("clicks", key="ann", value="home", timestamp=12)
        assert rows(driver) == [(Windowed("ann", 0, 10), "home!", 4), (Windowed("ann", 10, 20), "home!", 12)]


def test_an_aggregation_that_emits_at_commits_on_the_left() -> None:
    app = streams.App("shop")
    counts = app.topic("clicks", key_type=str, value_type=int).stream().group_by_key().count(name="n").emit("commit")
    words = app.topic("words", key_type=int, value_type=str).table()
    counts.join(
        words, lambda n, word: f"{n} {word}", foreign_key=lambda n: n, name="said", value_type=str
    ).to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe("words", [(1, "one", 0), (2, "two", 0), (3, "three", 0)])
        driver.pipe("clicks", [("a", 1, 1), ("a", 1, 2)])
        driver.pipe("clicks", [("a", 1, 3), ("b", 1, 4)])
        assert rows(driver) == [("a", "2 two", 2), ("a", "3 three", 3), ("b", "1 one", 4)]


def test_numbers_that_are_whole_or_not_are_the_same_value() -> None:
    app = streams.App("shop")
    clicks = app.topic("clicks", key_type=str, value_type=float).stream()
    latest = clicks.group_by_key().reduce(lambda old, new: int(new), value_type=float, name="latest")
    words = app.topic("words", key_type=str, value_type=str).table()
    latest.join(words, lambda a, b: f"{a}{b}", foreign_key=lambda a: "w", name="said", value_type=str).to_stream().to(
        "out"
    )
    with Driver(app) as driver:
        driver.pipe("words", key="w", value="!", timestamp=0)
        driver.pipe("clicks", [("a", 1.0, 1), ("a", 2.0, 2)])
        assert [value for _, value, _ in rows(driver)][-1] == "2.0!"
        assert driver.dropped == {}


def test_what_an_untyped_value_is_hashed_by() -> None:
    fingerprint = fingerprint_for(None)
    assert fingerprint({"a": {1, 2}, "b": 1}) == fingerprint({"b": 1, "a": {2, 1}}) != fingerprint({"a": 1})
    with pytest.raises(StreamsError, match="cannot be told from others"):
        fingerprint(object())
