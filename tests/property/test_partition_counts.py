"""How many partitions there are does not show: each key has the same results in the same order.

Left out is what hangs on more than one key by its meaning: stream time (windows, joins of streams, suppress, grace),
which tasks have each for themselves, and records without a key, which go round the partitions.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.testing import Driver, TopicRecord
from tests.property.topologies import STEPS, Step, build

BY_KEY = sorted(
    {"filter", "map_values", "flat_map_values", "select_key", "repartition", "merge", "again", "count", "reduce"}
    | {"even_counts", "table_join", "table_left_join", "own_counts", "cogroup", "to_table", "table_groups"}
    | {"tables_join", "tables_left_join", "tables_outer_join", "foreign_key_join"}
)
assert set(BY_KEY) <= set(STEPS)

steps = st.builds(Step, st.sampled_from(BY_KEY), st.integers(0, 7), st.integers(0, 7), st.integers(0, 5))
records = st.tuples(
    st.sampled_from("aaabt"),
    st.builds(
        TopicRecord,
        st.sampled_from(["x", "y", "z", "w"]),
        st.integers(0, 9) | st.none(),
        st.integers(0, 40),
        st.just(()) | st.just((("h", b"1"),)),
    ),
)


def by_key(topology: list[Step], rows: list[tuple[str, TopicRecord]], partitions: int) -> dict[str, Any]:
    """What came to each topic for each key, in order; and the tables."""
    app, outs = build(topology)
    found: dict[str, Any] = {}
    with Driver(app, partitions=partitions) as driver:
        for topic, record in rows:
            driver.pipe(topic, [record])
        for name in outs:
            keyed = defaultdict(list)
            for record in driver.read(name):
                keyed[record.key].append(record)
            found[name] = dict(keyed)
        nodes = (node for sub in app.plan().subtopologies for node in sub.nodes)
        tables = {node.store.name for node in nodes if node.kind in ("aggregate", "table_source")}
        return found | {f"table {name}": sorted(driver.table(name).items()) for name in tables}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    topology=st.lists(steps, min_size=1, max_size=4), rows=st.lists(records, max_size=12), partitions=st.integers(2, 4)
)
def test_the_number_of_partitions_does_not_show(topology: list[Step], rows: list[Any], partitions: int) -> None:
    assert by_key(topology, rows, partitions) == by_key(topology, rows, 1)
