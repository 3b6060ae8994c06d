"""Decides whether a principal may do something, by Kafka's rules (StandardAuthorizer).

- Super users may do everything.
- A DENY that is about the resource, principal, host and operation wins over every ALLOW.
- ALLOW of Read, Write, Delete or Alter allows Describe too; of AlterConfigs, DescribeConfigs. DENY implies nothing.
- Without any ACL about a resource: denied, unless `allow.everyone.if.no.acl.found`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from broker_embedded.errors import InvalidConfigError
from broker_embedded.security.acls import (
    ANYONE,
    SUPPORTED,
    WILDCARD,
    Acl,
    Operation,
    PatternType,
    Permission,
    ResourceType,
)
from broker_embedded.security.addresses import host_address

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.session import RequestContext

_IMPLIED_BY: Final = {
    Operation.DESCRIBE: frozenset({Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER}),
    Operation.DESCRIBE_CONFIGS: frozenset({Operation.ALTER_CONFIGS}),
}
STANDARD_AUTHORIZER: Final = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"

_REMEMBERED = 10_000  # decisions; more than a busy broker needs, few enough to forget all of them at once
_NO_OPERATIONS: Final[frozenset[Operation]] = frozenset()

Action = tuple[str, str, Operation, ResourceType, str]


class Authorizer:
    """Answers from the ACLs of the last `load`, and remembers its answers until the next.

    >>> acl = Acl(ResourceType.TOPIC, PatternType.LITERAL, "flights", "User:ada", "*", Operation.READ, Permission.ALLOW)
    >>> authorizer = Authorizer(super_users=["User:root"])
    >>> authorizer.load([acl])
    >>> authorizer.allows("User:ada", "10.0.0.7", Operation.DESCRIBE, ResourceType.TOPIC, "flights")
    True
    >>> authorizer.allows("User:ada", "10.0.0.7", Operation.WRITE, ResourceType.TOPIC, "flights")
    False
    """

    def __init__(self, *, super_users: Iterable[str] = (), allow_everyone_if_no_acl_found: bool = False) -> None:
        """`super_users` are principals (`User:root`)."""
        self.super_users = frozenset(super_users)
        self.allow_everyone_if_no_acl_found = allow_everyone_if_no_acl_found
        self._decisions: dict[Action, bool] = {}
        self._literal: dict[tuple[ResourceType, str], list[Acl]] = {}
        self._prefixed: dict[ResourceType, list[Acl]] = {}

    def load(self, acls: Iterable[Acl]) -> None:
        """From now on these rules hold, and no others."""
        self._decisions.clear()
        self._literal = {}
        self._prefixed = {}
        for acl in acls:
            acl = acl._replace(host=host_address(acl.host))
            if acl.pattern_type is PatternType.PREFIXED:
                self._prefixed.setdefault(acl.resource_type, []).append(acl)
            else:
                self._literal.setdefault((acl.resource_type, acl.name), []).append(acl)

    def allows(self, principal: str, host: str, operation: Operation, resource_type: ResourceType, name: str) -> bool:
        """Whether `principal`, from the address `host`, may do `operation` with one resource."""
        action = (principal, host, operation, resource_type, name)
        decision = self._decisions.get(action)
        if decision is None:
            if len(self._decisions) >= _REMEMBERED:
                self._decisions.clear()
            decision = self._decisions[action] = self._decide(*action)
        return decision

    def _decide(self, principal: str, host: str, operation: Operation, resource_type: ResourceType, name: str) -> bool:
        if principal in self.super_users:
            return True
        found = self._about(resource_type, name)
        host = host_address(host)
        hits = {acl.permission for acl in found if _applies(acl, principal, host, operation)}
        if Permission.DENY in hits:
            return False
        return Permission.ALLOW in hits or (not found and self.allow_everyone_if_no_acl_found)

    def _about(self, resource_type: ResourceType, name: str) -> list[Acl]:
        return [
            *self._literal.get((resource_type, name), ()),
            *(self._literal.get((resource_type, WILDCARD), ()) if name != WILDCARD else ()),
            *(acl for acl in self._prefixed.get(resource_type, ()) if name.startswith(acl.name)),
        ]

    def allows_some(self, principal: str, host: str, operation: Operation, resource_type: ResourceType) -> bool:
        """Whether there may be a name for which `allows` holds (Kafka: Authorizer.authorizeByResourceType, KIP-679).

        An idempotent producer asks before it has named a topic.
        """
        if self.allows(principal, host, operation, resource_type, "hardcode"):  # Kafka's word: a name like any other
            return True
        host = host_address(host)
        hits = [
            acl
            for acl in self._of_type(resource_type)
            if acl.operation in (operation, Operation.ALL) and _applies(acl, principal, host, operation)
        ]
        denials = [acl for acl in hits if acl.permission is Permission.DENY]
        return any(not _is_denied_whole(acl, denials) for acl in hits if acl.permission is Permission.ALLOW)

    def _of_type(self, resource_type: ResourceType) -> Iterator[Acl]:
        yield from self._prefixed.get(resource_type, ())
        for (found, _), acls in self._literal.items():
            if found is resource_type:
                yield from acls


def authorizer_of(properties: Mapping[str, str]) -> Authorizer | None:
    """The authorizer that settings by Kafka's names ask for, without ACLs yet; None if they ask for none.

    Raises InvalidConfigError for a class that is not served.

    >>> authorizer_of({}) is None
    True
    >>> properties = {"authorizer.class.name": STANDARD_AUTHORIZER, "super.users": "User:root;User:admin"}
    >>> sorted(authorizer_of(properties).super_users)
    ['User:admin', 'User:root']
    """
    name = properties.get("authorizer.class.name", "").strip()
    if not name:
        return None
    if name != STANDARD_AUTHORIZER:
        raise InvalidConfigError(f"authorizer.class.name is {name}: the one that is served is {STANDARD_AUTHORIZER}")
    users = (user.strip() for user in properties.get("super.users", "").split(";"))
    allow_everyone = properties.get("allow.everyone.if.no.acl.found", "false").strip().lower() == "true"
    return Authorizer(super_users=filter(None, users), allow_everyone_if_no_acl_found=allow_everyone)


def _is_denied_whole(allowed: Acl, denials: list[Acl]) -> bool:
    """Whether one of the denials takes back all that `allowed` gives."""
    for denied in denials:
        if _is_wildcard(denied) or (denied.pattern_type, denied.name) == (allowed.pattern_type, allowed.name):
            return True
        if denied.pattern_type is PatternType.PREFIXED and not _is_wildcard(allowed) and denied.covers(allowed.name):
            return True
    return False


def _is_wildcard(acl: Acl) -> bool:
    return acl.pattern_type is PatternType.LITERAL and acl.name == WILDCARD


def _applies(acl: Acl, principal: str, host: str, operation: Operation) -> bool:
    if acl.principal not in (principal, ANYONE) or acl.host not in (host, WILDCARD):
        return False
    if acl.operation in (operation, Operation.ALL):
        return True
    implied_by = _IMPLIED_BY.get(operation, _NO_OPERATIONS)
    return acl.permission is Permission.ALLOW and acl.operation in implied_by


def authorized_operations(cluster: Cluster, context: RequestContext, resource_type: ResourceType, name: str) -> int:
    """The operations that whoever asks may do with a resource, bit n for operation n (KIP-430).

    Without an authorizer, and for the process itself, all that make sense for the type of resource.
    """
    operations: Iterable[Operation] = SUPPORTED[resource_type]
    authorizer = cluster.authorizer
    if authorizer is not None and not context.in_process:
        session = context.session
        operations = [
            operation
            for operation in operations
            if authorizer.allows(session.principal, session.client_host, operation, resource_type, name)
        ]
    return sum(1 << operation for operation in operations)
