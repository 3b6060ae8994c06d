"""What is written down of a change: the records of one state that are not those of another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from broker_embedded.coordinator.groups.consumer.records import (
    Key,
    Kind,
    encode_current,
    encode_group,
    encode_key,
    encode_member,
    encode_regex,
    encode_target,
    encode_target_epoch,
)
from broker_embedded.coordinator.groups.consumer.state import State

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.group import Row

T = TypeVar("T")


def changes(group_id: str, old: State, new: State) -> list[Row]:
    """The rows that turn `old` into `new`.

    Those who leave go first, so that their partitions are free when others get them (Kafka reads them in that order);
    then subscriptions, targets, and last what members have.

    >>> from broker_embedded.coordinator.groups.consumer.member import Member
    >>> [row[0][1] for row in changes("g", State(), State(epoch=2, members={"m": Member("m", epoch=2)}))]
    [5, 3, 8]
    """
    if old == new:  # most heartbeats change nothing
        return []
    rows = _removed(group_id, old, new)

    def put(kind: Kind, name: str, value: bytes) -> None:
        rows.append((encode_key(Key(kind, group_id, name)), value))

    for name, member in _new(old.members, new.members):
        before = old.members.get(name)
        if before is None or encode_member(before) != encode_member(member):
            put(Kind.MEMBER, name, encode_member(member))
    for regex, resolved in _new(old.regexes, new.regexes):
        put(Kind.REGEX, regex, encode_regex(resolved))
    if (new.epoch, new.metadata_hash) != (old.epoch, old.metadata_hash):
        put(Kind.GROUP, "", encode_group(new))
    for name, target in _new(old.targets, new.targets):
        put(Kind.TARGET, name, encode_target(target))
    if (new.assignment_epoch, new.assigned_ms) != (old.assignment_epoch, old.assigned_ms):
        put(Kind.TARGET_EPOCH, "", encode_target_epoch(new))
    for name, member in _new(old.members, new.members):
        before = old.members.get(name)
        if before is None or encode_current(before) != encode_current(member):
            put(Kind.CURRENT, name, encode_current(member))
    return rows


def tombstones(group_id: str, state: State) -> list[Row]:
    """The rows that remove a group."""
    rows = _removed(group_id, state, State())
    kinds = [Kind.TARGET_EPOCH, Kind.PARTITION_METADATA, Kind.GROUP]
    return rows + [(encode_key(Key(kind, group_id)), None) for kind in kinds]


def _new(old: dict[str, T], new: dict[str, T]) -> list[tuple[str, T]]:
    before = [(name, value, old.get(name)) for name, value in new.items()]
    return [(name, value) for name, value, known in before if known is not value and known != value]


def _removed(group_id: str, old: State, new: State) -> list[Row]:
    removed: list[tuple[Kind, Iterable[str]]] = [
        (Kind.CURRENT, old.members.keys() - new.members.keys()),
        (Kind.TARGET, old.targets.keys() - new.targets.keys()),
        (Kind.MEMBER, old.members.keys() - new.members.keys()),
        (Kind.REGEX, old.regexes.keys() - new.regexes.keys()),
        (Kind.PARTITION_METADATA, [""] if old.has_partition_metadata and not new.has_partition_metadata else []),
    ]
    return [(encode_key(Key(kind, group_id, name)), None) for kind, names in removed for name in sorted(names)]
