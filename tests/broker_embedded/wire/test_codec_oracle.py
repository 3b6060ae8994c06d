"""Every key in every version Kafka has had since 4.0, against kio's own reader and writer."""

from __future__ import annotations

import io
import random
import uuid
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pkgutil import iter_modules
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from broker_embedded import handlers
from broker_embedded.wire import codec
from broker_embedded.wire.messages import APIS, request_type, response_type
from broker_embedded.wire.older_versions import OLDER
from broker_embedded.wire.schema import Kind, Row, _snake, schema

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


def versions(api_key: int) -> list[int]:
    package = import_module(f"kio.schema.{_snake(APIS[api_key].name)}")
    return sorted(int(module.name[1:]) for module in iter_modules(package.__path__))


CASES = [(key, version, kind) for key in APIS for version in versions(key) for kind in KINDS]


def struct_type(api_key: int, version: int, kind: Kind) -> Any:
    older = OLDER.get((api_key, kind))
    if older is not None and version <= older.last_version:
        return older.type
    return request_type(api_key) if kind == "request" else response_type(api_key)


def dropped(row: Row, kind: Any, path: str) -> set[str]:
    known = codec._known(kind)
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
def test_read_and_written_as_kio_does(api_key: int, version: int, kind: Kind) -> None:
    from kio.serial import entity_reader, entity_writer

    entity_type = entity(api_key, version, kind)
    rng = random.Random(f"{api_key}.{version}.{kind}")
    for size in (1, 1, 0, 2):
        size = min(size, 1) if (api_key, kind) in OLDER else size
        sent = build(entity_type, rng, size, f"{api_key}.{kind}")
        buffer = io.BytesIO()
        entity_writer(entity_type)(buffer, sent)
        body = buffer.getvalue()
        read = codec.decode_request if kind == "request" else codec.decode_response
        message: Any = read(api_key, version, body, 0)
        check_top_level(message, sent)
        write = codec.encode_request if kind == "request" else codec.encode_response
        assert entity_reader(entity_type)(b"".join(write(api_key, version, message)), 0)[0] == sent


def entity(api_key: int, version: int, kind: Kind) -> Any:
    name = APIS[api_key].name
    module = import_module(f"kio.schema.{_snake(name)}.v{version}.{kind}")
    return getattr(module, name + kind.capitalize())


def check_top_level(message: Any, sent: Any) -> None:
    for field in fields(sent):
        value = getattr(sent, field.name)
        if hasattr(message, field.name) and isinstance(value, str | int | bool):
            assert getattr(message, field.name) == value, field.name


def build(entity_type: Any, rng: random.Random, size: int, path: str) -> Any:
    """An entity of kio's with random values, `size` elements in every list, and defaults where we drop a field."""
    hints = get_type_hints(entity_type)
    values = {}
    for field in fields(entity_type):
        name = field.name + ("_ms" if field.metadata.get("kafka_type", "").startswith(("time", "date")) else "")
        if f"{path}.{name}" in DROPPED:
            continue
        values[field.name] = value_of(field, hints[field.name], rng, size, f"{path}.{name}")
    for field in fields(entity_type):
        name = field.name + ("_ms" if field.metadata.get("kafka_type", "").startswith(("time", "date")) else "")
        if f"{path}.{name}" in DROPPED and field.name not in values:
            values[field.name] = unsent(field, hints[field.name])
    return entity_type(**values)


def unsent(field: Any, hint: Any) -> Any:
    from dataclasses import MISSING

    if field.default is not MISSING:
        return field.default
    return () if get_origin(hint) is tuple else 0


def value_of(field: Any, hint: Any, rng: random.Random, size: int, path: str) -> Any:
    if NoneType in get_args(hint):
        if size == 0:
            return None
        hint = next(part for part in get_args(hint) if part is not NoneType)
    kind = field.metadata.get("kafka_type", "")
    if get_origin(hint) is tuple:
        element = get_args(hint)[0]
        return tuple(one(kind, element, rng, size, path) for _ in range(size))
    return one(kind, hint, rng, size, path)


def one(kind: str, hint: Any, rng: random.Random, size: int, path: str) -> Any:
    if not kind and is_dataclass(hint):
        return build(hint, rng, size, path)
    return MAKERS[kind](rng)


def _error(rng: random.Random) -> Any:
    from kio.schema.errors import ErrorCode

    return ErrorCode(rng.randrange(100))


MAKERS: dict[str, Any] = {
    "string": lambda rng: "".join(rng.choices("abcäö✓", k=rng.randrange(1, 200))),
    "bytes": lambda rng: rng.randbytes(rng.randrange(300)),
    "records": lambda rng: rng.randbytes(rng.randrange(1, 300)),
    "uuid": lambda rng: uuid.UUID(bytes=rng.randbytes(16)),
    "bool": lambda rng: rng.random() < 0.5,
    "float64": lambda rng: rng.random(),
    "int8": lambda rng: rng.randrange(-128, 128),
    "int16": lambda rng: rng.randrange(-(1 << 15), 1 << 15),
    "uint16": lambda rng: rng.randrange(1 << 16),
    "int32": lambda rng: rng.randrange(-(1 << 31), 1 << 31),
    "int64": lambda rng: rng.randrange(-(1 << 63), 1 << 63),
    "timedelta_i32": lambda rng: timedelta(milliseconds=rng.randrange(1 << 31)),
    "timedelta_i64": lambda rng: timedelta(milliseconds=rng.randrange(1 << 40)),
    "datetime_i64": lambda rng: datetime.fromtimestamp(rng.randrange(1 << 32), UTC),
    "error_code": _error,
}


async def test_what_is_advertised_is_served() -> None:
    """Versions are those of the definitions: none is advertised that nobody could encode."""
    for api_key, (first, last) in handlers.served().items():
        assert set(range(first, last + 1)) <= set(versions(api_key)), APIS[api_key].name
