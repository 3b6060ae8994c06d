"""Where `streams groups reset` moves a group."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from streams.transport.contract import TopicPartition

if TYPE_CHECKING:
    from streams.client import Client

_ISO_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)


class Target(NamedTuple):
    """Where to: the option that says it, by its name in Python, and its value."""

    kind: str
    value: Any


def one_target(given: Mapping[str, Any]) -> Target:
    """The one of the options that was given. Raises click.UsageError for none or several.

    >>> one_target({"to_earliest": None, "to_offset": 5, "shift_by": None})
    Target(kind='to_offset', value=5)
    """
    found = [Target(name, value) for name, value in given.items() if value is not None]
    if len(found) != 1:
        raise click.UsageError(
            "say where to, once: --to-earliest, --to-latest, --to-current, --to-offset N, --to-datetime TIME, "
            "--by-duration DURATION or --shift-by N."
        )
    return found[0]


async def partitions_of(client: Client, topics: Sequence[str]) -> list[TopicPartition]:
    """The partitions that TOPIC or TOPIC:0,1 names. Raises click.UsageError for one that the topic does not have."""
    found = []
    for text in topics:
        name, colon, numbers = text.partition(":")
        (topic,) = await client.admin.describe_topics([name])
        there = [part.partition for part in topic.partitions]
        chosen = [number.strip() for number in numbers.split(",")] if colon else list(map(str, there))
        missing = [number for number in chosen if number not in map(str, there)]
        if missing:
            raise click.UsageError(f"--topic {text}: {name} has the partitions 0 to {there[-1]}, not {missing[0]!r}.")
        found += [TopicPartition(name, int(number)) for number in chosen]
    return found


async def new_offsets(client: Client, group: str, topics: Sequence[str], target: Target) -> dict[TopicPartition, int]:
    """The new offset of each partition, within what its log has."""
    current = {row.partition: row.offset for row in await client.admin.offsets(group)}
    tps = await partitions_of(client, topics) if topics else sorted(current)
    earliest, latest = await client.ends(tps)
    match target:
        case Target("to_earliest"):
            wanted: Mapping[TopicPartition, int] = earliest
        case Target("to_latest"):
            wanted = latest
        case Target("to_offset", offset):
            wanted = dict.fromkeys(tps, offset)
        case Target("to_datetime", time):
            wanted = await client.offsets_at(tps, time)
        case Target("by_duration", duration):
            wanted = await client.offsets_at(tps, _ago_ms(duration))
        case Target("shift_by", by):
            unknown = [str(tp) for tp in tps if current.get(tp) is None]
            if unknown:
                raise click.UsageError(f"--shift-by: group {group} has no offset in {', '.join(unknown)}.")
            wanted = {tp: (current[tp] or 0) + by for tp in tps}
        case _:  # where it is; where it has never been, the end, as in Kafka
            wanted = {tp: latest[tp] if (at := current.get(tp)) is None else at for tp in tps}
    return {tp: min(max(wanted[tp], earliest[tp]), latest[tp]) for tp in tps}


def _ago_ms(duration: str) -> int:
    from streams.durations import to_ms

    found = _ISO_DURATION.fullmatch(duration)
    if found is not None and any(found.groups()):
        days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
        ms = int(((days * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1000)
    else:
        ms = to_ms(duration, "--by-duration")
    return time.time_ns() // 1_000_000 - ms
