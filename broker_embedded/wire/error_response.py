"""The answer that says one error about a whole request.

Handlers answer part by part; this is for what befalls a request as a whole (not authorised, the disk has failed, an
injected fault). The response gets the error wherever it has a place for one: at its top, and in a row for each row that
was asked for, which has the names that were in the request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args, get_type_hints

from msgspec.structs import fields

from broker_embedded.errors import KafkaError
from broker_embedded.wire.messages import Message, Request, Response, response_type

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
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    rows_asked = _rows(asked)
    for field in fields(kind):
        row_kind = _row_kind(hints[field.name])
        if field.name.endswith("error_code"):
            values[field.name] = error.code
        elif field.name.endswith("error_message"):
            values[field.name] = str(error)
        elif row_kind is not None and _says_errors(row_kind):
            values[field.name] = [_row(row_kind, row, error) for row in rows_asked if _names(row_kind, row)]
        elif field.name in _NEVER_NULL:
            values[field.name] = _NEVER_NULL[field.name]
        elif row_kind is not None:  # rows that can't say errors: those of the request are of another kind
            values.update({field.name: []} if field.required else {})
        elif field.required or hasattr(asked, field.name):
            values[field.name] = _name(asked, field.name)
    return kind(**values)


def _row(kind: type[Message], asked: Any, error: KafkaError) -> Message:
    if isinstance(asked, Message):
        return _filled(kind, asked, error)
    first = fields(kind)[0].name  # a row that was a mere name or number in the request
    named = next((f.name for f in fields(kind) if f.required and not f.name.startswith("error")), first)
    codes = {f.name: error.code for f in fields(kind) if f.name.endswith("error_code")}
    return kind(**{named: asked, **codes})


def _names(kind: type[Message], asked: Any) -> bool:
    """Whether a row of the request says all that the answering row has to say."""
    if not isinstance(asked, Message):
        return True
    required = [field for field in fields(kind) if field.required and not field.name.startswith("error")]
    return all(_name(asked, field.name) is not None or _row_kind(field.type) is not None for field in required)


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
    for field in fields(type(asked)):
        value = getattr(asked, field.name)
        if isinstance(value, list):
            return value
    return []


def _row_kind(hint: Any) -> type[Message] | None:
    for part in (hint, *get_args(hint)):
        for inner in (part, *get_args(part)):
            if isinstance(inner, type) and issubclass(inner, Message):
                return inner
    return None


def _says_errors(kind: type[Message]) -> bool:
    hints = get_type_hints(kind)
    return any(
        field.name.endswith("error_code")
        or ((inner := _row_kind(hints[field.name])) is not None and _says_errors(inner))
        for field in fields(kind)
    )
