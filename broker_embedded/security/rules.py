"""What a client has to be allowed for each request, as in Kafka (KafkaApis, ControllerApis): one table.

Handlers know nothing of this: `guarded` wraps one, and only when the broker has an authorizer. A key without a line
here is refused, and a test finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.security.group_rules import (
    consumer_group_describe,
    consumer_group_heartbeat,
    find_coordinator,
    list_groups,
    offset_fetch,
)
from broker_embedded.security.guard import (
    Answer,
    Guard,
    Rule,
    cluster,
    denied,
    each,
    everybody,
    group,
    in_turn,
    topic,
    transaction,
    whole,
)
from broker_embedded.security.token_rules import create_token, describe_tokens
from broker_embedded.security.topic_rules import (
    config,
    create_topics,
    delete_topics,
    describe_cluster,
    describe_topic_partitions,
    fetch,
    metadata,
    offset_for_leader_epoch,
)
from broker_embedded.security.transaction_rules import (
    add_partitions,
    describe_transactions,
    init_producer_id,
    list_transactions,
)
from broker_embedded.wire.error_response import error_response

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.handlers import Handler
    from broker_embedded.security.authorizer import Authorizer
    from broker_embedded.session import RequestContext

_O = Operation

RULES: Final[dict[int, Rule]] = {
    0: in_turn(whole(transaction(_O.WRITE)), each("topic_data", "responses", topic(_O.WRITE))),
    1: fetch,
    2: each("topics", "topics", topic(_O.DESCRIBE)),
    3: metadata,
    8: in_turn(whole(group(_O.READ)), each("topics", "topics", topic(_O.READ))),
    9: offset_fetch,
    10: find_coordinator,
    11: whole(group(_O.READ)),
    12: whole(group(_O.READ)),
    13: whole(group(_O.READ)),
    14: whole(group(_O.READ)),
    15: each("groups", "groups", group(_O.DESCRIBE)),
    16: list_groups,
    17: everybody,
    18: everybody,
    19: create_topics,
    20: delete_topics,
    21: each("topics", "topics", topic(_O.DELETE)),
    22: init_producer_id,
    23: offset_for_leader_epoch,
    24: add_partitions,
    25: whole(transaction(_O.WRITE), group(_O.READ)),
    26: whole(transaction(_O.WRITE)),
    27: whole(cluster(_O.ALTER, _O.CLUSTER_ACTION)),
    28: in_turn(whole(transaction(_O.WRITE), group(_O.READ)), each("topics", "topics", topic(_O.READ))),
    29: whole(cluster(_O.DESCRIBE)),
    30: whole(cluster(_O.ALTER)),
    31: whole(cluster(_O.ALTER)),
    32: each("resources", "results", config(_O.DESCRIBE_CONFIGS)),
    33: each("resources", "responses", config(_O.ALTER_CONFIGS)),
    34: whole(cluster(_O.ALTER)),
    35: whole(cluster(_O.DESCRIBE)),
    36: everybody,
    37: each("topics", "results", topic(_O.ALTER)),
    38: create_token,
    39: everybody,  # whose token it is decides
    40: everybody,
    41: describe_tokens,
    42: each("groups_names", "results", group(_O.DELETE)),
    43: whole(cluster(_O.ALTER)),
    44: each("resources", "responses", config(_O.ALTER_CONFIGS)),
    45: whole(cluster(_O.ALTER)),
    46: whole(cluster(_O.DESCRIBE)),
    47: in_turn(whole(group(_O.DELETE)), each("topics", "topics", topic(_O.READ))),
    48: whole(cluster(_O.DESCRIBE_CONFIGS)),
    49: whole(cluster(_O.ALTER_CONFIGS)),
    50: whole(cluster(_O.DESCRIBE)),
    51: whole(cluster(_O.ALTER)),
    55: whole(cluster(_O.DESCRIBE)),
    57: whole(cluster(_O.ALTER)),
    60: describe_cluster,
    61: each("topics", "topics", topic(_O.READ)),
    65: describe_transactions,
    66: list_transactions,
    68: consumer_group_heartbeat,
    69: in_turn(each("group_ids", "groups", group(_O.DESCRIBE)), consumer_group_describe),
    74: whole(cluster(_O.DESCRIBE_CONFIGS)),
    75: describe_topic_partitions,
}
"""The rule of each API key."""


def guarded(authorizer: Authorizer, handler: Handler) -> Handler:
    """A handler that gets to see only what whoever asks is allowed."""

    async def handle(broker: Cluster, request: Any, context: RequestContext) -> Any:
        rule = RULES.get(request.api_key, _refused)
        return await rule(
            Guard(authorizer, broker, context), request, lambda allowed: handler(broker, allowed, context)
        )

    return handle


async def _refused(guard: Guard, request: Any, answer: Answer) -> Any:
    return error_response(request, denied(ResourceType.CLUSTER))
