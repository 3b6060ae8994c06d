"""What the rules of `rules.py` are made of: checks, and ways to answer a request of which only a part is allowed.

A rule is given a request and the way to its handler, and answers. Parts that are not allowed never reach the handler;
they are answered with an error as if a handler had found it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from broker_embedded.errors import KafkaError, UnknownTopicIdError, error_class
from broker_embedded.security.acls import CLUSTER_NAME, FAILED, Operation, ResourceType
from broker_embedded.wire.error_response import error_response

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.security.authorizer import Authorizer
    from broker_embedded.session import RequestContext

log = logging.getLogger(__name__)

Answer = Callable[[Any], Awaitable[Any]]
"""The way to the handler."""


class Guard(NamedTuple):
    """Whoever asks, and the authorizer that knows what they may do."""

    authorizer: Authorizer
    cluster: Cluster
    context: RequestContext

    def allows(self, operation: Operation, resource_type: ResourceType, name: str) -> bool:
        session = self.context.session
        return self.authorizer.allows(session.principal, session.client_host, operation, resource_type, name)

    def require(self, operation: Operation, resource_type: ResourceType, name: str) -> KafkaError | None:
        """The error for something that was asked for by name and is not allowed; the log says what that was."""
        if self.allows(operation, resource_type, name):
            return None
        session = self.context.session
        text = "%s from %s is denied %s of %s %s"
        log.info(text, session.principal, session.client_host, operation.name, resource_type.name, name)
        return denied(resource_type)

    def allows_cluster(self, operation: Operation) -> bool:
        return self.allows(operation, ResourceType.CLUSTER, CLUSTER_NAME)

    def allows_topic(self, operation: Operation, name: str) -> bool:
        return self.allows(operation, ResourceType.TOPIC, name)


Rule = Callable[[Guard, Any, Answer], Awaitable[Any]]
Check = Callable[[Guard, Any], KafkaError | None]
"""Looks at a request, or at one row of it: what is wrong with it, if anything."""


def denied(resource_type: ResourceType) -> KafkaError:
    """The error of a resource that is not allowed."""
    what = resource_type.name.replace("_", " ").title()
    return error_class(FAILED[resource_type])(f"{what} authorization failed.")


# Checks


def cluster(*operations: Operation) -> Check:
    """One of the operations on the cluster."""

    def check(guard: Guard, asked: Any) -> KafkaError | None:
        if any(map(guard.allows_cluster, operations)):
            return None
        return guard.require(operations[0], ResourceType.CLUSTER, CLUSTER_NAME)

    return check


def group(operation: Operation) -> Check:
    """An operation on the group that a request or row names."""

    def check(guard: Guard, asked: Any) -> KafkaError | None:
        name = asked if isinstance(asked, str) else asked.group_id
        return guard.require(operation, ResourceType.GROUP, name)

    return check


def transaction(operation: Operation) -> Check:
    """An operation on the transactional id that a request or row names; a request without one passes."""

    def check(guard: Guard, asked: Any) -> KafkaError | None:
        name = asked if isinstance(asked, str) else asked.transactional_id
        return None if name is None else guard.require(operation, ResourceType.TRANSACTIONAL_ID, name)

    return check


def topic(operation: Operation) -> Check:
    """An operation on the topic that a row names; one by an id that nobody has passes: its handler says so."""

    def check(guard: Guard, asked: Any) -> KafkaError | None:
        name = topic_name(guard, asked)
        return None if name is None else guard.require(operation, ResourceType.TOPIC, name)

    return check


def topic_name(guard: Guard, row: Any) -> str | None:
    """The topic of a row, by its name or its id; None if no topic has that id."""
    name = getattr(row, "name", None) or getattr(row, "topic", None)
    if name:
        return str(name)
    try:
        return guard.cluster.topic(None, row.topic_id).name if getattr(row, "topic_id", None) else ""
    except UnknownTopicIdError:
        return None


def may_know(guard: Guard, row: Any) -> bool:
    """Whether a row about a topic may stand in a list: nobody has asked for it by name."""
    name = topic_name(guard, row)
    return name is None or guard.allows_topic(Operation.DESCRIBE, name)


# Rules


async def everybody(guard: Guard, request: Any, answer: Answer) -> Any:
    """Nobody has to be allowed this."""
    return await answer(request)


def whole(*checks: Check) -> Rule:
    """All or nothing: the first check that fails is the answer."""

    async def rule(guard: Guard, request: Any, answer: Answer) -> Any:
        for check in checks:
            error = check(guard, request)
            if error is not None:
                return error_response(request, error)
        return await answer(request)

    return rule


def each(rows: str, answers: str, check: Check) -> Rule:
    """Row by row: `rows` is where a request has them, `answers` where the response has theirs."""

    async def rule(guard: Guard, request: Any, answer: Answer) -> Any:
        return await split(request, rows, answers, [check(guard, row) for row in getattr(request, rows)], answer)

    return rule


async def split(request: Any, rows: str, answers: str, errors: Sequence[KafkaError | None], answer: Answer) -> Any:
    """Answer rows with an error by that, and let the handler answer the others."""
    if not any(errors):
        return await answer(request)
    judged = list(zip(getattr(request, rows), errors, strict=True))
    refusals = [refusal(request, rows, row, error) for row, error in judged if error is not None]
    allowed = [row for row, error in judged if error is None]
    response = await answer(replace(request, **{rows: allowed})) if allowed else refusals.pop(0)
    for refused in refusals:
        getattr(response, answers).extend(getattr(refused, answers))
    return response


def refusal(request: Any, rows: str, row: Any, error: KafkaError) -> Any:
    """What would answer the request if it had this row alone."""
    response: Any = error_response(replace(request, **{rows: [row]}), error)
    if getattr(response, "error_code", 0):  # at the top it would be about the whole request
        response.error_code = 0
    if getattr(response, "error_message", None):
        response.error_message = None
    return response


def in_turn(first: Rule, second: Rule) -> Rule:
    """Both rules; the second sees what the first lets through."""

    async def rule(guard: Guard, request: Any, answer: Answer) -> Any:
        return await first(guard, request, lambda left: second(guard, left, answer))

    return rule
