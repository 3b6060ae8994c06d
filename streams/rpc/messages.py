"""Requests and replies as records: what their headers say.

A request names the topic for its reply and a correlation id that comes back with it. The names of both are those of
Spring for Apache Kafka (`KafkaHeaders.REPLY_TOPIC`, `CORRELATION_ID`), so a `ReplyingKafkaTemplate` asks our agents.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from streams.batch import Headers
from streams.errors import AgentFailedError, NoReplyError, RecordError, StreamsError

REPLY_TO = "kafka_replyTopic"
CORRELATION_ID = "kafka_correlationId"
FAILURE = "streams.failure"

REPLY_TOPIC_CONFIG = {"cleanup.policy": "delete", "retention.ms": "3600000", "segment.ms": "3600000"}
"""A reply is read at once or never."""


class Request(NamedTuple):
    """Where the reply to a record goes."""

    reply_to: str
    correlation_id: bytes


class Failure(msgspec.Struct, omit_defaults=True):
    """Why there is no value in a reply. `kind` is the class of the error, None where the agent yielded nothing."""

    agent: str
    kind: str | None = None
    reason: str = ""
    step: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    line: str | None = None

    def error(self) -> StreamsError:
        """As it is raised where somebody waits for the reply."""
        if self.kind is None:
            return NoReplyError(self.agent)
        return AgentFailedError(
            self.agent,
            self.reason,
            kind=self.kind,
            step=self.step,
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            line=self.line,
        )


def headers_of(request: Request) -> Headers:
    """The headers of a request.

    >>> request_of(headers_of(Request("answers", b"7")))
    Request(reply_to='answers', correlation_id=b'7')
    """
    return ((REPLY_TO, request.reply_to.encode()), (CORRELATION_ID, request.correlation_id))


def request_of(headers: Headers) -> Request | None:
    """What the headers of a record ask for; None for a record that is no request.

    >>> request_of([("trace", b"1")])
    """
    found = {name: value for name, value in headers if name in (REPLY_TO, CORRELATION_ID)}
    reply_to, correlation_id = found.get(REPLY_TO), found.get(CORRELATION_ID)
    if reply_to is None or correlation_id is None:
        return None
    return Request(reply_to.decode(), correlation_id)


def without_request(headers: Headers) -> Headers:
    """The headers without those of a request: what is made of one asks nobody.

    >>> without_request([("trace", b"1"), (REPLY_TO, b"answers"), (CORRELATION_ID, b"7")])
    (('trace', b'1'),)
    """
    return tuple(header for header in headers if header[0] not in (REPLY_TO, CORRELATION_ID))


def failed(agent: str, error: RecordError) -> Failure:
    """What is told of an agent's error."""
    kind = type(getattr(error, "cause", error)).__name__
    return Failure(agent, kind, error.reason, error.step, error.topic, error.partition, error.offset, error.line)


def encoded_failure(failure: Failure) -> bytes:
    return msgspec.json.encode(failure)


def decoded_failure(data: bytes) -> Failure:
    return msgspec.json.decode(data, type=Failure)


def made_ms(name: str, app_id: str) -> int | None:
    """When a reply topic of the app was made, ms since 1970; None for a topic that is none.

    >>> made_ms("shop-68a1b2c3-00112233aabbccdd-reply", "shop"), made_ms("shop-price-reply", "shop")
    (1755427523000, None)
    """
    found = re.fullmatch(rf"{re.escape(app_id)}-([0-9a-f]{{8}})-[0-9a-f]{{16}}-reply", name)
    return None if found is None else int(found[1], 16) * 1000
