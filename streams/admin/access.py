"""Who may do what: ACLs, and users that authenticate by SCRAM."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from broker_embedded.security.acls import Operation, PatternType, Permission, ResourceType
from broker_embedded.wire.messages.security import (
    AclCreation,
    AlterUserScramCredentialsRequest,
    CreateAclsRequest,
    DeleteAclsFilter,
    DeleteAclsRequest,
    DescribeAclsRequest,
    DescribeUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from streams.admin.descriptions import Acl
from streams.transport.contract import Asks, TransportError
from streams.transport.error_codes import check

MECHANISMS = {"SCRAM-SHA-256": 1, "SCRAM-SHA-512": 2}


async def list_acls(asks: Asks, match: Acl) -> list[Acl]:
    answer = await asks.ask(DescribeAclsRequest(*_filter(match)))
    check(answer.error_code, "ACLs", answer.error_message)
    return [
        _acl(resource.resource_type, resource.resource_name, resource.pattern_type, row)
        for resource in answer.resources
        for row in resource.acls
    ]


async def create_acls(asks: Asks, acls: Sequence[Acl]) -> None:
    rows = [
        AclCreation(
            _code(ResourceType, acl.resource_type),
            acl.name or "",
            acl.principal or "",
            acl.host or "*",
            _code(Operation, acl.operation),
            _code(Permission, acl.permission),
            _code(PatternType, acl.pattern),
        )
        for acl in acls
    ]
    for acl, result in zip(acls, (await asks.ask(CreateAclsRequest(rows))).results, strict=True):
        where = f"rule for {acl.principal} on {acl.resource_type} {acl.name!r}"
        check(result.error_code, where, result.error_message)


async def delete_acls(asks: Asks, match: Acl) -> list[Acl]:
    """What was deleted."""
    answer = await asks.ask(DeleteAclsRequest([DeleteAclsFilter(*_filter(match))]))
    (found,) = answer.filter_results
    check(found.error_code, "ACLs", found.error_message)
    return [_acl(row.resource_type, row.resource_name, row.pattern_type, row) for row in found.matching_acls]


def _filter(match: Acl) -> tuple[Any, ...]:
    return (
        _code(ResourceType, match.resource_type),
        match.name,
        match.principal,
        match.host,
        _code(Operation, match.operation),
        _code(Permission, match.permission),
        _code(PatternType, match.pattern),
    )


def _acl(resource_type: int, name: str, pattern: int, row: Any) -> Acl:
    return Acl(
        resource_type=ResourceType(resource_type).name.lower(),
        name=name,
        pattern=PatternType(pattern).name.lower(),
        principal=row.principal,
        host=row.host,
        operation=Operation(row.operation).name.lower(),
        permission=Permission(row.permission_type).name.lower(),
    )


def _code(kind: Any, name: str) -> int:
    try:
        return int(kind[name.upper().replace("-", "_")])
    except KeyError:
        known = ", ".join(member.name.lower() for member in kind if member.name != "UNKNOWN")
        raise TransportError(f"{name!r} is no {kind.__name__}; these are: {known}") from None


async def users(asks: Asks) -> dict[str, list[str]]:
    """The users that have SCRAM credentials, and for which mechanisms."""
    answer = await asks.ask(DescribeUserScramCredentialsRequest())
    check(answer.error_code, "users", answer.error_message)
    names = {code: name for name, code in MECHANISMS.items()}
    return {row.user: [names[info.mechanism] for info in row.credential_infos] for row in answer.results}


async def set_password(asks: Asks, user: str, password: str, mechanism: str, iterations: int) -> None:
    salt = os.urandom(24)
    digest = "sha256" if mechanism == "SCRAM-SHA-256" else "sha512"
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    row = ScramCredentialUpsertion(user, _mechanism(mechanism), iterations, salt, salted)
    await _alter(asks, AlterUserScramCredentialsRequest([], [row]))


async def remove_user(asks: Asks, user: str, mechanism: str) -> None:
    await _alter(asks, AlterUserScramCredentialsRequest([ScramCredentialDeletion(user, _mechanism(mechanism))], []))


async def _alter(asks: Asks, request: AlterUserScramCredentialsRequest) -> None:
    for result in (await asks.ask(request)).results:
        check(result.error_code, f"user {result.user!r}", result.error_message)


def _mechanism(name: str) -> int:
    if name not in MECHANISMS:
        raise TransportError(f"{name!r} is no mechanism with stored users; these are: {', '.join(MECHANISMS)}")
    return MECHANISMS[name]
