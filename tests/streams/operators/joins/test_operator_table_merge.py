"""Both sides of a join of two tables as one table: what it holds, with a store and without."""

from __future__ import annotations

from typing import Any

import pytest

import streams
from streams import policies
from streams.testing import Driver


def app_with(kind: str, store: str | None, joiner: Any = lambda a, b: f"{a},{b}") -> streams.App:
    """What a stream finds in the joined table."""
    app = streams.App("shop")
    left, right = (app.topic(name, key_type=str, value_type=int).table() for name in ("left", "right"))
    joined = getattr(left, kind)(right, joiner, name="joined", store=store, value_type=str, on_error=policies.skip())
    asked = app.topic("asked", key_type=str, value_type=str).stream()
    asked.left_join(joined, lambda question, row: row).to("found")
    return app


FOUND = {
    "join": [None, None, "1,2", None, None],
    "left_join": [None, "1,None", "1,2", "1,None", None],
    "outer_join": [None, "1,None", "1,2", "1,None", None],
}


@pytest.mark.parametrize("store", [None, "rows"])
@pytest.mark.parametrize("kind", list(FOUND))
def test_looking_into_it(kind: str, store: str | None) -> None:
    with Driver(app_with(kind, store)) as driver:
        found = []
        for change in [None, ("left", 1), ("right", 2), ("right", None), ("left", None)]:
            if change is not None:
                driver.pipe(change[0], key="a", value=change[1], timestamp=5)
            driver.pipe("asked", key="a", value="?", timestamp=9)
            driver.pipe("asked", key="z", value="?", timestamp=9)
            here, elsewhere = driver.read("found")
            found.append(here.value)
            assert elsewhere.value is None
            driver.crash()
            driver.restart()
        assert found == FOUND[kind]


def test_a_kept_table_is_there_by_its_name() -> None:
    with Driver(app_with("outer_join", "rows")) as driver:
        driver.pipe("right", key="a", value=2, timestamp=5)
        assert driver.table("rows").get("a") == "None,2"


@pytest.mark.parametrize("store", [None, "rows"])
def test_a_row_that_was_left_out_is_not_found(store: str | None) -> None:
    with Driver(app_with("join", store, lambda a, b: str(a // b))) as driver:
        driver.pipe("left", key="a", value=6, timestamp=1)
        driver.pipe("right", key="a", value=0, timestamp=2)
        driver.pipe("asked", key="a", value="?", timestamp=3)
        assert [record.value for record in driver.read("found")] == [None]
        assert {reason for _, reason in driver.dropped} == {"skip"}


def test_a_join_with_itself_tells_a_deletion_once() -> None:
    """Each side tells it, and one of the two says nothing new."""
    app = streams.App("shop")
    table = app.topic("left", key_type=str, value_type=int).table()
    table.outer_join(table, lambda a, b: f"{a},{b}", name="joined").to_stream().to("out")
    with Driver(app) as driver:
        for value in (None, 1, None, None, 2):
            driver.pipe("left", key="a", value=value, timestamp=3)
            driver.crash()
            driver.restart()
        assert [record.value for record in driver.read("out")] == ["1,1", "1,1", None, "2,2", "2,2"]
