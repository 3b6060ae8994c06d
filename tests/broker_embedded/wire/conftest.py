"""Messages of Kafka's protocol with random content, written by kio: an independent hand."""

from __future__ import annotations

import io
import random
import uuid
from collections.abc import Callable, Collection
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from broker_embedded.wire.messages import APIS
from broker_embedded.wire.schema import Kind, _snake


class KioMessages:
    """Builds kio's entities. `plain` are fields that keep their defaults, by path from the message on."""

    def __init__(self, plain: Collection[str] = ()) -> None:
        self._plain = plain

    def entity_type(self, api_key: int, version: int, kind: Kind) -> Any:
        name = APIS[api_key].name
        module = import_module(f"kio.schema.{_snake(name)}.v{version}.{kind}")
        return getattr(module, name + kind.capitalize())

    def body(self, entity: Any) -> bytes:
        from kio.serial import entity_writer

        buffer = io.BytesIO()
        entity_writer(type(entity))(buffer, entity)
        return buffer.getvalue()

    def frame(self, api_key: int, version: int, rng: random.Random, size: int) -> bytes:
        """A whole request without its length."""
        entity = self.build(self.entity_type(api_key, version, "request"), rng, size, f"{api_key}.request")
        header_type = type(entity).__header_schema__
        given = {"request_api_key": api_key, "request_api_version": version, "correlation_id": 7, "client_id": "kio"}
        names = {field.name for field in fields(header_type)}
        header = header_type(**{name: value for name, value in given.items() if name in names})
        return self.body(header) + self.body(entity)

    def build(self, entity_type: Any, rng: random.Random, size: int, path: str) -> Any:
        """An entity with random values and `size` elements in every list."""
        hints = get_type_hints(entity_type)
        values = {}
        for field in fields(entity_type):
            kind = field.metadata.get("kafka_type", "")
            name = f"{path}.{field.name}" + ("_ms" if kind.startswith(("time", "date")) else "")
            if name not in self._plain:
                values[field.name] = self._value(kind, hints[field.name], rng, size, name)
            elif field.default is MISSING:
                values[field.name] = () if get_origin(hints[field.name]) is tuple else 0
        return entity_type(**values)

    def _value(self, kind: str, hint: Any, rng: random.Random, size: int, path: str) -> Any:
        if NoneType in get_args(hint):
            if size == 0:
                return None
            hint = next(part for part in get_args(hint) if part is not NoneType)
        if get_origin(hint) is tuple:
            return tuple(self._one(kind, get_args(hint)[0], rng, size, path) for _ in range(size))
        return self._one(kind, hint, rng, size, path)

    def _one(self, kind: str, hint: Any, rng: random.Random, size: int, path: str) -> Any:
        if not kind and is_dataclass(hint):
            return self.build(hint, rng, size, path)
        return _MAKERS[kind](rng)


def _error(rng: random.Random) -> Any:
    from kio.schema.errors import ErrorCode

    return ErrorCode(rng.randrange(100))


_MAKERS: dict[str, Callable[[random.Random], Any]] = {
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


@pytest.fixture(scope="session")
def kio_messages() -> Callable[..., KioMessages]:
    return KioMessages
