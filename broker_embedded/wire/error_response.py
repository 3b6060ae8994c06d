"""The answer that says one error about a whole request.

Handlers answer part by part; this is for what befalls a request as a whole (not authorised, the disk has failed, an
injected fault). The response gets the error wherever it has a place for one: at its top, and in a row for each row that
was asked for, which has the names that were in the request.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec.structs import fields

from broker_embedded.errors import KafkaError
from broker_embedded.wire.messages import Message, Request, Response, response_type, row_types

# What a row of a request calls otherwise than the row that answers it.
_ANSWERED_AS = {
    "partition": ("partition_index", "partition"),
    "group_id": ("group_id",),
    "name": ("user", "topic_name"),
}
# Requests whose parts are not simply their first list.
_PARTS: dict[int, Callable[[Any], list[Any]]] = {
    34: lambda asked: [topic for folder in asked.dirs for topic in folder.topics],
    51: lambda asked: [*asked.deletions, *asked.upsertions],
}
_NEVER_NULL = {"protocol_name": ""}  # of JoinGroup: null is for versions above 6 only


def error_response(request: Request, error: KafkaError) -> Response:
    """
    >>> from broker_embedded.errors import TopicAuthorizationFailedError
    >>> from broker_embedded.wire.messages.records import PartitionProduceData, ProduceRequest, TopicProduceData
    >>> request = ProduceRequest(topic_data=[TopicProduceData("secret", partition_data=[PartitionProduceData(3, b"")])])
    >>> answer = error_response(request, TopicAuthorizationFailedError("no"))
    >>> answer.responses[0].name, answer.responses[0].partition_responses[0].index
    ('secret', 3)
    >>> answer.responses[0].partition_responses[0].error_code
    29
    """
    response = _filled(response_type(request.api_key), request, error)
    assert isinstance(response, Response)
    return response


def _filled(kind: type[Message], asked: Message, error: KafkaError) -> Message:
    values: dict[str, Any] = {}
    required = _required(kind)
    for name, row_kind in row_types(kind).items():
        if name.endswith("error_code"):
            values[name] = error.code
        elif name.endswith("error_message"):
            values[name] = str(error)
        elif row_kind is not None and _says_errors(row_kind):
            values[name] = [_row(row_kind, row, error) for row in _rows(asked) if _names(row_kind, row)]
        elif name in _NEVER_NULL:
            values[name] = _NEVER_NULL[name]
        elif row_kind is not None:  # rows that can't say errors: those of the request are of another kind
            values.update({name: []} if name in required else {})
        elif name in required or hasattr(asked, name):
            values[name] = _name(asked, name)
    return kind(**values)


def _row(kind: type[Message], asked: Any, error: KafkaError) -> Message:
    if isinstance(asked, Message):
        return _filled(kind, asked, error)
    names = kind.__struct_fields__  # a row that was a mere name or number in the request
    named = next(iter(_to_be_named(kind)), names[0])
    codes = {name: error.code for name in names if name.endswith("error_code")}
    return kind(**{named: asked, **codes})


def _names(kind: type[Message], asked: Any) -> bool:
    """Whether a row of the request says all that the answering row has to say."""
    if not isinstance(asked, Message):
        return True
    rows = row_types(kind)
    return all(rows[name] is not None or _name(asked, name) is not None for name in _to_be_named(kind))


def _name(asked: Message, name: str) -> Any:
    for asked_name, answered in _ANSWERED_AS.items():
        if name in answered and hasattr(asked, asked_name):
            return getattr(asked, asked_name)
    return getattr(asked, name, None)


def _rows(asked: Message) -> list[Any]:
    """What `asked` asks about, part by part: its first list, mostly."""
    parts = _PARTS.get(getattr(asked, "api_key", -1))
    if parts is not None:
        return parts(asked)
    for name in asked.__struct_fields__:
        value = getattr(asked, name)
        if isinstance(value, list):
            return value
    return []


@cache
def _required(kind: type[Message]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.required)


def _to_be_named(kind: type[Message]) -> list[str]:
    """What tells a row from others."""
    return [name for name in _required(kind) if not name.startswith("error")]


@cache
def _says_errors(kind: type[Message]) -> bool:
    return any(
        name.endswith("error_code") or (row_kind is not None and _says_errors(row_kind))
        for name, row_kind in row_types(kind).items()
    )
