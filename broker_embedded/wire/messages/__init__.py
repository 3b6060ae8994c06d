"""Requests and responses of the Kafka protocol as plain structs, independent of any version.

A struct has the fields of all versions; the wire codec (`wire/codec.py`) leaves out what a version lacks and fills in
defaults, so handlers never see a version. Names are those of Kafka's message definitions
(clients/src/main/resources/common/message) in snake_case; durations and points in time are integers in milliseconds,
an error is its code (0 is none), and a topic is named by `name` or, in versions that have only ids, by `topic_id`.

`msgspec.Struct` rather than dataclasses: defining seventy of these classes costs 0.6 ms of a process start instead of
18 ms, and making one is several times cheaper, which each produce pays.

>>> from broker_embedded.wire.messages.records import FetchPartition, FetchRequest, FetchTopic
>>> request = FetchRequest(topics=[FetchTopic("flights", partitions=[FetchPartition(0, fetch_offset=42)])])
>>> request.api_key, request.min_bytes, request.topics[0].partitions[0].fetch_offset
(1, 1, 42)
>>> request_type(1) is FetchRequest, APIS[1].name
(True, 'Fetch')
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import UnionType
from typing import Any, ClassVar, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

Buffer = bytes | bytearray | memoryview


class Message(msgspec.Struct):
    """A request, a response, or a row of one."""


class Request(Message):
    """What a client asks for; `api_key` says which handler answers."""

    api_key: ClassVar[int] = -1


class Response(Message):
    """What a handler answers."""


class Api(NamedTuple):
    """An API of the protocol: its name, and the module here that has its `<name>Request` and `<name>Response`."""

    name: str
    module: str


APIS = {
    0: Api("Produce", "records"),
    1: Api("Fetch", "records"),
    2: Api("ListOffsets", "records"),
    3: Api("Metadata", "topics"),
    8: Api("OffsetCommit", "groups"),
    9: Api("OffsetFetch", "groups"),
    10: Api("FindCoordinator", "groups"),
    11: Api("JoinGroup", "groups"),
    12: Api("Heartbeat", "groups"),
    13: Api("LeaveGroup", "groups"),
    14: Api("SyncGroup", "groups"),
    15: Api("DescribeGroups", "groups"),
    16: Api("ListGroups", "groups"),
    17: Api("SaslHandshake", "security"),
    18: Api("ApiVersions", "cluster"),
    19: Api("CreateTopics", "topics"),
    20: Api("DeleteTopics", "topics"),
    21: Api("DeleteRecords", "records"),
    22: Api("InitProducerId", "transactions"),
    23: Api("OffsetForLeaderEpoch", "records"),
    24: Api("AddPartitionsToTxn", "transactions"),
    25: Api("AddOffsetsToTxn", "transactions"),
    26: Api("EndTxn", "transactions"),
    27: Api("WriteTxnMarkers", "transactions"),
    28: Api("TxnOffsetCommit", "transactions"),
    29: Api("DescribeAcls", "security"),
    30: Api("CreateAcls", "security"),
    31: Api("DeleteAcls", "security"),
    32: Api("DescribeConfigs", "configs"),
    33: Api("AlterConfigs", "configs"),
    34: Api("AlterReplicaLogDirs", "log_dirs"),
    35: Api("DescribeLogDirs", "log_dirs"),
    36: Api("SaslAuthenticate", "security"),
    37: Api("CreatePartitions", "topics"),
    38: Api("CreateDelegationToken", "delegation_tokens"),
    39: Api("RenewDelegationToken", "delegation_tokens"),
    40: Api("ExpireDelegationToken", "delegation_tokens"),
    41: Api("DescribeDelegationToken", "delegation_tokens"),
    42: Api("DeleteGroups", "groups"),
    43: Api("ElectLeaders", "cluster"),
    44: Api("IncrementalAlterConfigs", "configs"),
    45: Api("AlterPartitionReassignments", "cluster"),
    46: Api("ListPartitionReassignments", "cluster"),
    47: Api("OffsetDelete", "groups"),
    48: Api("DescribeClientQuotas", "configs"),
    49: Api("AlterClientQuotas", "configs"),
    50: Api("DescribeUserScramCredentials", "security"),
    51: Api("AlterUserScramCredentials", "security"),
    55: Api("DescribeQuorum", "cluster"),
    57: Api("UpdateFeatures", "cluster"),
    60: Api("DescribeCluster", "cluster"),
    61: Api("DescribeProducers", "transactions"),
    65: Api("DescribeTransactions", "transactions"),
    66: Api("ListTransactions", "transactions"),
    68: Api("ConsumerGroupHeartbeat", "consumer_groups"),
    69: Api("ConsumerGroupDescribe", "consumer_groups"),
    74: Api("ListConfigResources", "configs"),
    75: Api("DescribeTopicPartitions", "topics"),
}


def request_type(api_key: int) -> type[Request]:
    """The request struct of an API. Raises KeyError for one that is not in `APIS`."""
    found: type[Request] = _find(api_key, "Request")
    return found


def response_type(api_key: int) -> type[Response]:
    """The response struct of an API. Raises KeyError for one that is not in `APIS`."""
    found: type[Response] = _find(api_key, "Response")
    return found


def _find(api_key: int, suffix: str) -> type:
    name, module = APIS[api_key]
    found: type = getattr(import_module(f"{__name__}.{module}"), name + suffix)
    return found


@cache
def row_types(kind: type[Message]) -> dict[str, type[Message] | None]:
    """The fields of a struct, each with the struct of its rows, if it has rows.

    >>> from broker_embedded.wire.messages.records import ProduceResponse
    >>> [name for name, row in row_types(ProduceResponse).items() if row is not None]
    ['responses']
    """
    hints = get_type_hints(kind)
    return {name: _row_type(hints[name]) for name in kind.__struct_fields__}


def _row_type(hint: Any) -> type[Message] | None:
    if get_origin(hint) in (UnionType, Union, list):
        return next((found for part in get_args(hint) if (found := _row_type(part)) is not None), None)
    return hint if isinstance(hint, type) and issubclass(hint, Message) else None
