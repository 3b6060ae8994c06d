"""Where a key of a table is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import streams
from streams.errors import StreamsError
from streams.location import Owner
from streams.testing import Driver


def make_app(partition_of: dict[int, int] | None = None) -> streams.App:
    app = streams.App("places")
    visits = app.topic("visits", key_type=int, value_type=str, partitions=4)
    seen = app.Table("seen", key_type=int, value_type=int, default=int, partitions=4).tumbling("1h")

    @app.agent(visits, tables=[seen])
    async def count(stream: Any) -> None:
        async for event in stream.events():
            seen[event.key] += 1
            if partition_of is not None:
                partition_of[event.key] = event.message.partition

    visits.stream().group_by_key().count(name="per-guest")
    app.topic("guests", key_type=str, value_type=str, partitions=3).table(name="guests")
    app.topic("rooms", key_type=str, value_type=str, partitions=2).global_table()
    return app


@pytest.mark.parametrize("table", ["seen", "per-guest"])
def test_a_key_is_where_its_records_go(table: str) -> None:
    partition_of: dict[int, int] = {}
    app = make_app(partition_of)
    with Driver(app, partitions="declared") as driver:
        driver.pipe("visits", [(guest, "in") for guest in range(40)])
        assert {key: app.locate(table, key).partition for key in range(40)} == partition_of
        assert app.locate(table, 7).here
        driver.pipe("guests", key="ann", value="Ann")
        assert app.locate("guests", "ann").partition < 3
        assert app.locate("rooms", "12").here


def test_others_are_named_by_the_group() -> None:
    app = make_app()
    with Driver(app, partitions="declared"):
        assert app.worker is not None
        owners = {f"visits-{n}": Owner(f"w{n}", "far", False) for n in range(3)}
        app.worker = replace(app.worker, owner=owners.get)
        found = [app.locate("per-guest", key) for key in range(40) if app_partition(app, key) != 3]
        assert {(place.worker, place.host, place.here) for place in found} == {
            (f"w{n}", "far", False) for n in range(3)
        }
        lost = next(key for key in range(40) if app_partition(app, key) == 3)
        with pytest.raises(StreamsError, match="nobody works on partition 3 at the moment"):
            app.locate("per-guest", lost)
        assert app.locate("rooms", "12").here


def app_partition(app: streams.App, key: int) -> int:
    from streams.partitioner import partition_for

    return partition_for(str(key).encode(), 4)


def test_what_cannot_be_located_is_said() -> None:
    app = make_app()
    with pytest.raises(StreamsError, match="no worker runs 'places' in this process"):
        app.locate("seen", 1)
    with Driver(app), pytest.raises(StreamsError, match=r"no such table. Did you mean 'seen'"):
        app.locate("sen", 1)
