"""Every key in every version Kafka has had since 4.0, against kio's own reader and writer."""

from __future__ import annotations

import random
from dataclasses import fields
from typing import Any

import pytest

from broker_embedded import handlers
from broker_embedded.wire import codec
from broker_embedded.wire.messages import APIS, request_type, response_type, row_types
from broker_embedded.wire.older_versions import OLDER
from broker_embedded.wire.schema import Kind, Row, schema, versions

# What our structs have no place for: replication, and what only brokers ask each other.
DROPPED = {
    "0.response.node_endpoints",
    "0.response.responses.partition_responses.current_leader",
    "1.request.cluster_id",
    "1.request.replica_id",
    "1.request.replica_state",
    "1.request.topics.partitions.high_watermark",
    "1.request.topics.partitions.replica_directory_id",
    "1.response.node_endpoints",
    "1.response.responses.partitions.current_leader",
    "1.response.responses.partitions.snapshot_id",
    "8.request.retention_time_ms",
    "22.request.enable2_pc",
    "22.request.keep_prepared_txn",
    "22.response.ongoing_txn_producer_epoch",
    "22.response.ongoing_txn_producer_id",
}
KINDS: tuple[Kind, ...] = ("request", "response")


CASES = [(key, version, kind) for key in APIS for version in versions(key) for kind in KINDS]


def struct_type(api_key: int, version: int, kind: Kind) -> Any:
    older = OLDER.get((api_key, kind))
    if older is not None and version <= older.last_version:
        return older.type
    return request_type(api_key) if kind == "request" else response_type(api_key)


def dropped(row: Row, kind: Any, path: str) -> set[str]:
    known = row_types(kind)
    found = set()
    for field in row.fields:
        if field.name not in known:
            found.add(f"{path}.{field.name}")
        elif field.row is not None:
            found |= dropped(field.row, known[field.name], f"{path}.{field.name}")
    return found


def test_nothing_else_of_a_message_is_dropped() -> None:
    found = set()
    for key, version, kind in CASES:
        found |= dropped(schema(key, version, kind), struct_type(key, version, kind), f"{key}.{kind}")
    assert found == DROPPED


@pytest.mark.parametrize(("api_key", "version", "kind"), CASES, ids=lambda value: str(value))
def test_read_and_written_as_kio_does(api_key: int, version: int, kind: Kind, kio_messages: Any) -> None:
    from kio.serial import entity_reader

    kio = kio_messages(plain=DROPPED)
    entity_type = kio.entity_type(api_key, version, kind)
    rng = random.Random(f"{api_key}.{version}.{kind}")
    for size in (1, 1, 0, 2):
        size = min(size, 1) if (api_key, kind) in OLDER else size
        sent = kio.build(entity_type, rng, size, f"{api_key}.{kind}")
        read = codec.decode_request if kind == "request" else codec.decode_response
        message: Any = read(api_key, version, kio.body(sent), 0)
        check_top_level(message, sent)
        write = codec.encode_request if kind == "request" else codec.encode_response
        assert entity_reader(entity_type)(b"".join(write(api_key, version, message)), 0)[0] == sent


def check_top_level(message: Any, sent: Any) -> None:
    for field in fields(sent):
        value = getattr(sent, field.name)
        if hasattr(message, field.name) and isinstance(value, str | int | bool):
            assert getattr(message, field.name) == value, field.name


def test_what_is_advertised_is_defined() -> None:
    """No version is advertised that nobody could encode."""
    for api_key, (first, last) in handlers.served().items():
        assert set(range(first, last + 1)) <= set(versions(api_key)), APIS[api_key].name
