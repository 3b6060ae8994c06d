"""One error about a whole request, of every kind and in every version: it can be sent, and is in every row."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec
import pytest

from broker_embedded import handlers
from broker_embedded.errors import error_class
from broker_embedded.wire import codec
from broker_embedded.wire.error_response import error_response
from broker_embedded.wire.messages import APIS, Message, request_type
from broker_embedded.wire.older_versions import OLDER
from broker_embedded.wire.schema import Row, schema

ERROR = 41  # NOT_CONTROLLER: no field has it by chance
WITHOUT_ROWS = {(35, 1), (35, 2)}  # a folder has an error there, and no request names one: Kafka's answer is empty, too
EVERY = [(key, version) for key, (first, last) in handlers.served().items() for version in range(first, last + 1)]


def one_of_each(kind: type[Any]) -> Any:
    """A message with two rows in every list, and rows in those."""
    hints = get_type_hints(kind)
    return kind(**{field.name: _value(hints[field.name]) for field in msgspec.structs.fields(kind)})


def _value(hint: Any) -> Any:
    options = [hint, *(get_args(hint) if getattr(hint, "__origin__", None) is not list else ())]
    for option in options:
        if getattr(option, "__origin__", None) is list:
            return [_value(get_args(option)[0]) for _ in range(2)]
        if isinstance(option, type) and issubclass(option, Message):
            return one_of_each(option)
    for kind, value in ((str, "x"), (bool, False), (int, 1), (float, 0.5), (bytes, b""), (UUID, UUID(int=1))):
        if kind in options:
            return value
    raise AssertionError(f"no value for {hint}")


def codes(message: Any) -> list[int]:
    """Every error code in a message, at whatever depth."""
    found = []
    for field in msgspec.structs.fields(type(message)):
        value = getattr(message, field.name)
        if field.name.endswith("error_code"):
            found.append(value)
        elif isinstance(value, Message):
            found += codes(value)
        elif isinstance(value, list):
            found += [code for row in value if isinstance(row, Message) for code in codes(row)]
    return found


def says_errors(row: Row) -> bool:
    return any(
        field.name.endswith("error_code") or (field.row is not None and says_errors(field.row)) for field in row.fields
    )


def has_a_place(kind: type[Any]) -> bool:
    hints = get_type_hints(kind)
    return any(
        field.name.endswith("error_code") or any(has_a_place(inner) for inner in _messages(hints[field.name]))
        for field in msgspec.structs.fields(kind)
    )


def _messages(hint: Any) -> list[type[Any]]:
    parts = [hint, *get_args(hint), *(inner for part in get_args(hint) for inner in get_args(part))]
    return [part for part in parts if isinstance(part, type) and issubclass(part, Message)]


@pytest.mark.parametrize(("key", "version"), EVERY, ids=[f"{APIS[key].name}-{version}" for key, version in EVERY])
def test_it_can_be_sent_and_says_the_error_everywhere(key: int, version: int) -> None:
    answer = error_response(one_of_each(request_type(key)), error_class(ERROR)("injected"))
    if has_a_place(type(answer)):
        assert set(codes(answer)) == {ERROR}
    sent = _as_version_has_it(answer, key, version)
    received = codec.decode_response(key, version, b"".join(codec.encode_response(key, version, sent)), 0)
    is_said = says_errors(schema(key, version, "response")) and (key, version) not in WITHOUT_ROWS
    assert set(codes(received)) - {0} == ({ERROR} if is_said else set())


def _as_version_has_it(answer: Any, key: int, version: int) -> Any:
    """Versions that have one row where newer ones have many are answered one at a time."""
    older = OLDER.get((key, "response"))
    if older is None or version > older.last_version:
        return answer
    for field in msgspec.structs.fields(type(answer)):
        value = getattr(answer, field.name)
        if isinstance(value, list):
            setattr(answer, field.name, value[:1])
    return answer
