"""Control records of a metadata log: who leads, who votes, where a snapshot ends (KIP-595, KIP-630, KIP-853)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final
from uuid import UUID

import msgspec

from broker_embedded.metadata.fields import Int16, Int32, Int64, UInt16, layout_of
from broker_embedded.records import decode, encode


class ControlType(IntEnum):
    """Kafka's ControlRecordType, of those that stand in a metadata log."""

    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class Voter(msgspec.Struct, kw_only=True):
    voter_id: Int32


class LeaderChange(msgspec.Struct, kw_only=True):
    """In version 0: Kafka 4.3 reads no other."""

    version: Int16 = 0
    leader_id: Int32
    voters: list[Voter]
    granting_voters: list[Voter]


class SnapshotHeader(msgspec.Struct, kw_only=True):
    version: Int16 = 0
    last_contained_log_timestamp: Int64


class SnapshotFooter(msgspec.Struct, kw_only=True):
    version: Int16 = 0


class KRaftVersion(msgspec.Struct, kw_only=True):
    version: Int16 = 0
    kraft_version: Int16


class VoterEndpoint(msgspec.Struct, kw_only=True):
    name: str
    host: str
    port: UInt16


class VersionRange(msgspec.Struct, kw_only=True):
    min_supported_version: Int16
    max_supported_version: Int16


class QuorumVoter(msgspec.Struct, kw_only=True):
    voter_id: Int32
    voter_directory_id: UUID
    endpoints: list[VoterEndpoint]
    kraft_version_feature: VersionRange


class Voters(msgspec.Struct, kw_only=True):
    version: Int16 = 0
    voters: list[QuorumVoter]


_TYPES: Final[dict[ControlType, type[msgspec.Struct]]] = {
    ControlType.SNAPSHOT_HEADER: SnapshotHeader,
    ControlType.SNAPSHOT_FOOTER: SnapshotFooter,
    ControlType.KRAFT_VERSION: KRaftVersion,
    ControlType.KRAFT_VOTERS: Voters,
}
_TYPE_OF: Final = {kind: control for control, kind in _TYPES.items()} | {LeaderChange: ControlType.LEADER_CHANGE}


def encode_control(messages: list[msgspec.Struct], timestamp: int) -> bytearray:
    """A control batch; its offsets count from 0.

    >>> encode_control([SnapshotFooter()], 0)[61:].hex()
    '1a00000008000000040600000000'
    """
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    for message in messages:
        pieces: list[Any] = []
        layout_of(type(message)).write(pieces.append, message, 0)
        keys.append(bytes(2) + _TYPE_OF[type(message)].to_bytes(2))
        values.append(b"".join(pieces))
    return encode(keys, values, [timestamp] * len(values), is_control=True)


def decode_control(batch: memoryview) -> list[msgspec.Struct]:
    """The messages of a control batch but for changes of the leader, which one node needs not know."""
    columns = decode(batch)
    found = []
    for key, value in zip(columns.keys(), columns.values(), strict=True):
        kind = _TYPES.get(ControlType(int.from_bytes((key or b"")[2:4])))
        if kind is not None:
            found.append(layout_of(kind).read(value or b"", 0, 0)[0])
    return found
