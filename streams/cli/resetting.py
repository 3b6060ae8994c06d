"""Where `streams groups reset` moves a group."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from streams.transport.contract import TopicPartition

if TYPE_CHECKING:
    from streams.client import Client

_ISO_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)


def one_target(target: Mapping[str, Any]) -> tuple[str, Any]:
    """The one of the options that was given, and its value. Raises click.UsageError for none or several.

    >>> one_target({"target": None, "to_offset": 5, "shift_by": None})
    ('to_offset', 5)
    """
    given = [(target["target"], None)] if target.get("target") else []
    given += [(name, value) for name, value in target.items() if name != "target" and value is not None]
    if len(given) != 1:
        raise click.UsageError(
            "say where to, once: --to-earliest, --to-latest, --to-current, --to-offset N, --to-datetime TIME, "
            "--by-duration DURATION or --shift-by N."
        )
    return given[0]


async def partitions_of(client: Client, topics: Sequence[str]) -> list[TopicPartition]:
    """The partitions that TOPIC or TOPIC:0,1 names."""
    chosen: dict[str, list[int] | None] = {}
    for text in topics:
        name, colon, numbers = text.partition(":")
        chosen[name] = [int(number) for number in numbers.split(",")] if colon else None
    described = await client.admin.describe_topics(chosen)
    return [
        TopicPartition(topic.name, part.partition)
        for topic in described
        for part in topic.partitions
        if (only := chosen[topic.name]) is None or part.partition in only
    ]


async def new_offsets(
    client: Client, group: str, topics: Sequence[str], kind: str, value: Any
) -> dict[TopicPartition, int]:
    """The new offset of each partition, within what its log has."""
    current = {row.partition: row.offset for row in await client.admin.offsets(group)}
    tps = await partitions_of(client, topics) if topics else sorted(current)
    earliest, latest = await client.ends(tps)
    if kind == "earliest":
        wanted: Mapping[TopicPartition, int] = earliest
    elif kind == "latest":
        wanted = latest
    elif kind == "to_offset":
        wanted = dict.fromkeys(tps, value)
    elif kind in ("to_datetime", "by_duration"):
        wanted = await client.offsets_at(tps, value if kind == "to_datetime" else _ago_ms(value))
    else:
        wanted = {tp: (current.get(tp) or 0) + (value or 0) for tp in tps}
    return {tp: min(max(wanted[tp], earliest[tp]), latest[tp]) for tp in tps}


def _ago_ms(duration: str) -> int:
    from streams.durations import to_ms

    found = _ISO_DURATION.fullmatch(duration)
    if found is not None and any(found.groups()):
        days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
        ms = int(((days * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1000)
    else:
        ms = to_ms(duration)
    return time.time_ns() // 1_000_000 - ms
