"""Changes of a task's stores as records of their changelogs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from state.api import Changelog, Column, Times
from streams.arrays import Int64Array
from streams.operators.outputs import Outputs
from streams.spans import Spans


def changelog_writer(outputs: Outputs, topics: Mapping[str, str], partition: int) -> Changelog:
    """Puts the changes of each commit among the outputs, for the changelog (`topics` by store) and that partition."""

    def write(
        store: str,
        keys: list[bytes] | Column,
        values: list[bytes | None] | Column,
        timestamps: list[int] | Times,
    ) -> None:
        if isinstance(keys, list):
            outputs.add(
                topics[store],
                keys,
                cast("list[bytes | None]", values),
                cast("list[int]", timestamps),
                partition=partition,
            )
        else:
            columns = cast("Spans", keys), cast("Spans", values), cast("Int64Array", timestamps)
            outputs.add_spans(topics[store], *columns, partition=partition)

    return write
