"""Quotas of users, client ids and addresses: who may have which, and who is meant by a question (KIP-546).

They are kept and described; no client is slowed down by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from broker_embedded.errors import InvalidRequestError, UnsupportedVersionError
from broker_embedded.metadata.image import ClientQuotaEntity
from broker_embedded.wire.messages.configs import (
    MATCH_DEFAULT,
    MATCH_EXACT,
    MATCH_SPECIFIED,
    ComponentData,
    OpData,
    QuotaEntity,
)

USER, CLIENT_ID, IP = "user", "client-id", "ip"

# Whether a quota is a whole number, by kind of entity.
_WHOLE: Final[dict[str, Mapping[str, bool]]] = {
    IP: {"connection_creation_rate": True},
    USER: {
        "producer_byte_rate": True,
        "consumer_byte_rate": True,
        "request_percentage": False,
        "controller_mutation_rate": False,
    },
}
_LARGEST: Final = 2.0**63


def entity_of(rows: Sequence[QuotaEntity]) -> ClientQuotaEntity:
    """Who has a quota. Raises InvalidRequestError for a combination that Kafka does not know.

    >>> entity_of([QuotaEntity("user", "ada"), QuotaEntity("client-id", None)])
    (('client-id', None), ('user', 'ada'))
    """
    if not rows:
        raise InvalidRequestError("Invalid empty client quota entity")
    names = {row.entity_type: row.entity_name for row in rows}  # of two names of one type Kafka takes the last
    for kind, name in names.items():
        if kind not in (USER, CLIENT_ID, IP):
            raise InvalidRequestError(f"Unhandled client quota entity type: {kind}")
        if name == "":
            raise InvalidRequestError(f"Empty {kind} not supported")
    if IP in names:
        if len(names) > 1:
            raise InvalidRequestError(
                "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
            )
        _check_address(names[IP])
    return tuple(sorted(names.items()))


def _check_address(address: str | None) -> None:
    if address is None:
        return
    try:
        ip_address(address)
    except ValueError:
        raise InvalidRequestError(f"{address} is not a valid IP or resolvable host.") from None


def changes_of(entity: ClientQuotaEntity, ops: Sequence[OpData]) -> dict[str, float | None]:
    """New values of an entity's quotas, None for those that go. Raises InvalidRequestError."""
    known = _WHOLE[IP if entity[0][0] == IP else USER]
    changes: dict[str, float | None] = {}
    for op in ops:
        if op.key in changes:
            raise InvalidRequestError(f"Quota {op.key} is changed twice in one request")
        if op.key not in known:
            raise InvalidRequestError(f"Invalid configuration key {op.key}")
        if not op.remove:
            _check_value(op, known[op.key])
        changes[op.key] = None if op.remove else op.value
    return changes


def _check_value(op: OpData, is_whole: bool) -> None:
    if not op.value > 0:
        raise InvalidRequestError(f"Quota {op.key} must be greater than 0")
    if is_whole and op.value >= _LARGEST:
        raise InvalidRequestError(f"Proposed value for {op.key} is too large for a LONG.")
    if is_whole and op.value != int(op.value):
        raise InvalidRequestError(f"{op.key} cannot be a fractional value.")


def check_filter(components: Sequence[ComponentData]) -> None:
    """Raise InvalidRequestError, UnsupportedVersionError for a question that makes no sense."""
    seen: set[str] = set()
    for row in components:
        if not row.entity_type:
            raise InvalidRequestError("Invalid empty entity type.")
        if row.entity_type not in (USER, CLIENT_ID, IP):
            raise UnsupportedVersionError(f"Unsupported entity type {row.entity_type}")
        if row.entity_type in seen:
            raise InvalidRequestError(f"Entity type {row.entity_type} cannot appear more than once in the filter.")
        seen.add(row.entity_type)
        _check_match(row)
    if IP in seen and len(seen) > 1:
        raise InvalidRequestError(
            "Invalid entity filter component combination. IP filter component should not be used with user or "
            "clientId filter component."
        )


def _check_match(row: ComponentData) -> None:
    if row.match_type == MATCH_EXACT and row.match is None:
        raise InvalidRequestError("Request specified MATCH_TYPE_EXACT, but set match string to null.")
    for kind, name in ((MATCH_DEFAULT, "DEFAULT"), (MATCH_SPECIFIED, "SPECIFIED")):
        if row.match_type == kind and row.match is not None:
            raise InvalidRequestError(f"Request specified MATCH_TYPE_{name}, but also specified a match string.")
    if row.match_type not in (MATCH_EXACT, MATCH_DEFAULT, MATCH_SPECIFIED):
        raise InvalidRequestError(f"Unknown match type {row.match_type}")


def matches(entity: ClientQuotaEntity, components: Sequence[ComponentData], strict: bool) -> bool:
    """Whether an entity is meant: it has all types asked for, each as asked; strictly, it has no others."""
    names = dict(entity)
    if strict and len(names) != len(components):
        return False
    for row in components:
        if row.entity_type not in names:
            return False
        name = names[row.entity_type]
        if row.match_type != MATCH_SPECIFIED and name != row.match:
            return False
    return True
