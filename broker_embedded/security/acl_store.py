"""ACLs between requests, the metadata log that keeps them, and the authorizer that works by them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from broker_embedded.errors import InvalidRequestError
from broker_embedded.security.acls import (
    CLUSTER_NAME,
    Acl,
    AclFilter,
    Operation,
    PatternType,
    Permission,
    ResourceType,
)
from broker_embedded.security.authorizer import authorizer_of

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.metadata.records import AccessControlEntryRecord
    from broker_embedded.wire.messages.security import AclCreation, DeleteAclsFilter, DescribeAclsRequest

E = TypeVar("E", bound=IntEnum)

NO_AUTHORIZER: Final = (
    "No Authorizer is configured on the broker (authorizer.class.name=org.apache.kafka.metadata.authorizer."
    "StandardAuthorizer configures it)"
)


def acl_of(row: AclCreation) -> Acl:
    """The ACL that a request asks for. Raises InvalidRequestError for one that makes no sense."""
    acl = Acl(
        _concrete(ResourceType, row.resource_type, "resource type"),
        _concrete(PatternType, row.resource_pattern_type, "pattern type"),
        row.resource_name,
        row.principal,
        row.host,
        _concrete(Operation, row.operation, "operation"),
        _concrete(Permission, row.permission_type, "permission type"),
    )
    if acl.pattern_type is PatternType.MATCH:
        raise InvalidRequestError("Invalid patternType MATCH: it is for filters")
    if acl.resource_type is ResourceType.CLUSTER and acl.name != CLUSTER_NAME:
        raise InvalidRequestError(f"The only valid name for the CLUSTER resource is {CLUSTER_NAME}")
    if not acl.name:
        raise InvalidRequestError("Invalid empty resource name")
    if ":" not in acl.principal:
        raise InvalidRequestError(f"principal {acl.principal!r} has no type: it is written User:name")
    return acl


def filter_of(row: DescribeAclsRequest | DeleteAclsFilter) -> AclFilter:
    """The filter of a request. Raises InvalidRequestError for a number that is none of Kafka's."""
    return AclFilter(
        _known(ResourceType, row.resource_type_filter, "resource type"),
        _known(PatternType, row.pattern_type_filter, "pattern type"),
        row.resource_name_filter,
        row.principal_filter,
        row.host_filter,
        _known(Operation, row.operation, "operation"),
        _known(Permission, row.permission_type, "permission type"),
    )


def _known(kind: type[E], number: int, what: str) -> E:
    try:
        found = kind(number)
    except ValueError:
        found = kind(0)
    if found == 0:
        raise InvalidRequestError(f"{number} is no {what} of Kafka's")
    return found


def _concrete(kind: type[E], number: int, what: str) -> E:
    found = _known(kind, number, what)
    if found.name == "ANY":
        raise InvalidRequestError(f"Invalid {what} ANY: it is for filters")
    return found


def find(cluster: Cluster, asked: AclFilter) -> dict[UUID, Acl]:
    """The ACLs that a filter finds, by the ids of their records."""
    found = ((key, _acl(record)) for key, record in cluster.metadata.acls.items())
    return {key: acl for key, acl in found if asked.matches(acl)}


def add(cluster: Cluster, acls: Iterable[Acl]) -> None:
    """Write down the ACLs that are not there yet, and have the authorizer work by them."""
    from broker_embedded.metadata.records import AccessControlEntryRecord
    from broker_embedded.metadata.store import NO_ID

    known = {_acl(record) for record in cluster.metadata.acls.values()}
    new = [acl for acl in dict.fromkeys(acls) if acl not in known]
    cluster.metadata.add_acls(
        AccessControlEntryRecord(
            id=NO_ID,
            resource_type=int(acl.resource_type),
            resource_name=acl.name,
            pattern_type=int(acl.pattern_type),
            principal=acl.principal,
            host=acl.host,
            operation=int(acl.operation),
            permission_type=int(acl.permission),
        )
        for acl in new
    )
    reload(cluster)


def remove(cluster: Cluster, ids: Iterable[UUID]) -> None:
    """Take ACLs away by the ids of their records."""
    cluster.metadata.remove_acls(ids)
    reload(cluster)


def open_authorizer(cluster: Cluster) -> None:
    """Give the cluster the authorizer that its settings ask for. Raises InvalidConfigError."""
    cluster.authorizer = authorizer_of(cluster.config.properties)
    reload(cluster)


def reload(cluster: Cluster) -> None:
    """Have the authorizer work by what the metadata log says now."""
    if cluster.authorizer is not None:
        cluster.authorizer.load(_acl(record) for record in cluster.metadata.acls.values())


def _acl(record: AccessControlEntryRecord) -> Acl:
    return Acl(
        ResourceType(record.resource_type),
        PatternType(record.pattern_type),
        record.resource_name,
        record.principal,
        record.host,
        Operation(record.operation),
        Permission(record.permission_type),
    )
