"""What is expected of the app under chaos is what it does when nothing happens to it, in the test driver."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from streams.partitioner import partition_for
from streams.testing import Driver
from streams.testing.driver import TopicRecord
from tests.cluster.chaos_app import PARTITIONS, app
from tests.cluster.chaos_expected import OUTPUTS, Comparable, Row, differences, expected, found, is_through
from tests.cluster.chaos_input import Record, closing, records

pytestmark = pytest.mark.slow

PARTS = 2
SENT: list[Record] = [record for part in range(PARTS) for record in islice(records(1, part), 700)]
LAST = [record for round in range(3) for record in closing(PARTS, round)]


@pytest.fixture(scope="module")
def outputs() -> Iterator[dict[str, list[Row]]]:
    with Driver(app) as driver:
        for record in SENT + LAST:
            driver.pipe(record.topic, key=record.key, value=record.value, timestamp=record.timestamp)
        yield {topic: [row(record) for record in driver.read(topic)] for topic in OUTPUTS}


def row(record: TopicRecord) -> Row:
    return Row(partition_for(record.key.encode(), PARTITIONS), record.key, record.value, record.timestamp)


@pytest.fixture
def wanted() -> Comparable:
    return expected(SENT + LAST, closed_before=PARTS)


def test_undisturbed(outputs: dict[str, list[Row]], wanted: Comparable) -> None:
    assert all(len(rows) > 50 for rows in outputs.values()), {name: len(rows) for name, rows in outputs.items()}
    assert differences(found(outputs), wanted) == []
    assert is_through(found(outputs), wanted)


@pytest.mark.parametrize("topic", OUTPUTS)
def test_a_record_too_many_or_too_few_is_seen(topic: str, outputs: dict[str, list[Row]], wanted: Comparable) -> None:
    rows = outputs[topic]
    repeated = {**outputs, topic: [*rows[:20], rows[19], *rows[20:]]}
    if topic != "places":  # its row of a key may be told twice
        assert differences(found(repeated), wanted)
    last_of = {row.key: n for n, row in enumerate(rows)}
    lost = max(last_of.values())
    assert differences(found({**outputs, topic: rows[:lost] + rows[lost + 1 :]}), wanted)
