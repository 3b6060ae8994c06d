"""Changes of a task's stores as records of their changelogs."""

from __future__ import annotations

from collections.abc import Mapping

from state.api import Changelog, Column, Times
from streams.operators.outputs import Outputs


def changelog_writer(outputs: Outputs, topics: Mapping[str, str], partition: int) -> Changelog:
    """Puts the changes of each commit among the outputs, for the changelog (`topics` by store) and that partition."""

    def write(
        store: str,
        keys: list[bytes] | Column,
        values: list[bytes | None] | Column,
        timestamps: list[int] | Times,
    ) -> None:
        outputs.add(
            topics[store],
            keys if isinstance(keys, list) else keys.cut(),
            values if isinstance(values, list) else values.cut(),
            timestamps if isinstance(timestamps, list) else timestamps.tolist(),
            partition=partition,
        )

    return write
